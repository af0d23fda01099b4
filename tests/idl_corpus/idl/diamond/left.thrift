include "base.thrift"
namespace py diamond.left
struct Left { 1: base.Base base }
