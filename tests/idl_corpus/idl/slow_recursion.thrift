// A struct that contains itself, and that Thrift's C extension cannot handle.
struct Chain { 1: i32 value, 2: optional Chain next, 3: set<list<i32>> lists }
service SlowRecursions { Chain longer(1: Chain chain) }
