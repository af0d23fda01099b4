namespace py one_namespace
struct First { 1: i32 a }
const First ONE = {"a": 1}
service Firsts { First first(1: First it) }
