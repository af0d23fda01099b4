namespace py hashed_in_include.shapes
// The struct is hashed only in the file that includes this one.
struct Colour { 1: i32 red, 2: list<i32> mix }
