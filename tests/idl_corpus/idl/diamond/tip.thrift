include "left.thrift"
include "right.thrift"
include "base.thrift"
include "unused.thrift"
namespace py diamond.tip
// A file that is included on two ways, and one that is not used.
service Tip { base.Base meet(1: left.Left left, 2: right.Right right, 3: right.Again again) }
