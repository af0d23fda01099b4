namespace py diamond.unused
struct Unused { 1: i32 a }
