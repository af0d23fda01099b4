include "root.thrift"
namespace py inheritance.middle
namespace java org.example.middle
// A service of another file and namespace extends the root.
struct Status { 1: bool is_up }
service Middle extends root.Root { Status health(1: root.Status status) }
