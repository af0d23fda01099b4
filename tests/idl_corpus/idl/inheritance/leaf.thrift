include "middle.thrift"
include "root.thrift"
namespace * inheritance.leaf
// Two levels of inheritance, over three files.
service Leaf extends middle.Middle { map<string, root.Status> statuses(1: middle.Status status) throws (2: root.Refused no) }
service Bud extends Leaf {}
