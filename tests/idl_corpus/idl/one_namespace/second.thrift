include "first.thrift"
namespace py one_namespace
// Two files share a package.
struct Second { 1: first.First first = {"a": 2}, 2: set<first.First> all }
service Seconds extends first.Firsts { Second second(1: Second it) }
