include "base.thrift"
namespace py diamond.right
typedef base.Base Again
struct Right { 1: Again base }
