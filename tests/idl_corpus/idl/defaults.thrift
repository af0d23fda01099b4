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
