// A file of constants.
const i32 NEGATIVE = -5
const i32 HEX = 0xFF
const double SMALL = 1e-3
const double WHOLE = 3
const bool YES = true
const bool ALSO_YES = 1
const string ESCAPED = "tab\tquote\"backslash\\"
const list<map<string, list<i32>>> NESTED = [{"a": [1, 2]}, {}]
const i64 LARGE = 4294967296
const set<string> WORDS = ["b", "a"]
