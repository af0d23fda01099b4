// Numbers with gaps, in any order, and the largest one.
struct Sparse { 100: i32 c, 1: i32 a, 32767: string last, 15: i32 b, 16: i32 b2, 300: list<i32> d }
service Sparsely { Sparse gap(3: Sparse it, 1: i32 first) }
