// A default of every type; also of structs whose fields have defaults.
enum Size { SMALL = 1, LARGE = 2 }
struct Inner { 1: i32 a = 1, 2: list<string> names = ["x", "y"] }
struct Defaults {
  1: bool flag = true
  2: i8 tiny = -1
  3: i64 big = 9000000000
  4: double real = 1.5e3
  5: string text = "say \"hi\""
  6: Size size = Size.LARGE
  7: list<i32> numbers = [1, 2]
  8: set<string> words = ["a"]
  9: map<string, list<i32>> table = {"a": [1]}
  10: Inner inner = {"a": 5}
  11: list<Inner> inners = [{"a": 1}, {"names": []}]
  12: optional i32 maybe = 3
  13: required i32 must = 4
  14: list<i32> empty = []
}
service Defaulting { Defaults fill(1: Defaults it, 2: list<i32> numbers = [3]) }
// Defaults that Thrift's XML does not have as they are written: all digits, control characters, a binary.
struct Exact {
  1: double pi = 3.14159265358979
  2: string control = "tab\t, line\n and \"quotes\""
  3: binary raw = "raw"
  4: map<i32, set<i32>> deep = {1: [2, 3]}
  5: Defaults all = {"must": 7}
}
service Exactly { Exact keep(1: Exact it) }
