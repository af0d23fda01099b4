include "left/common.thrift"
include "right/common.thrift"
namespace py one_name.top
// Both included files are called common. Of a type that both have, the last include's is meant.
struct Both { 1: common.Both both, 2: common.Left left, 3: common.Right right, 4: common.LeftAlias alias }
service Common extends common.Base { Both join(1: Both both, 2: common.Kind kind = common.Kind.SECOND) }
