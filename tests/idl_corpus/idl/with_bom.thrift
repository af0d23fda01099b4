// The file begins with a byte order mark.
struct Marked { 1: string text }
service Marks { Marked mark(1: Marked it) }
