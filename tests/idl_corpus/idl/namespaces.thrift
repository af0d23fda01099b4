namespace cpp example.ns
namespace java org.example.ns
namespace perl Example.NS
namespace go example.ns
namespace * example.fallback
namespace py deep.down.ns
namespace py.twisted twisted_ns
// The most special namespace wins.
struct Placed { 1: string where }
service Places { Placed find(1: Placed it) }
