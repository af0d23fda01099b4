// Both at once.
struct Both { string from, 1: i32 to }
service BothOfThem { Both yield(Both del) }
