namespace py one_name.left
struct Both { 1: i32 a }
struct Left { 1: Both both }
typedef Left LeftAlias
service Base { Left left(1: LeftAlias left) }
