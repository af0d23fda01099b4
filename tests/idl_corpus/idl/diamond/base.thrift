namespace py diamond.base
struct Base { 1: i32 id }
