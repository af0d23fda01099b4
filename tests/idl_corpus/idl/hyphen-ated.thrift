namespace py hyphenated
// No module of Python can have the file's name, but the namespace can.
struct Hyphen { 1: string a }
service Hyphens { Hyphen join(1: Hyphen hyphen) }
