namespace py one_name.right
enum Kind { FIRST = 1, SECOND = 2 }
struct Both { 1: string b }
struct Right { 1: Both both }
