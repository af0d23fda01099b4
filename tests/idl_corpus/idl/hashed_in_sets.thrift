// Sets of everything, without keys that JSON does not have.
struct Point { 1: i32 x, 2: list<string> names }
struct Sets {
  1: set<Point> points
  2: set<list<i32>> lists
  3: set<set<string>> sets
  4: set<map<string, list<i64>>> maps
  5: map<string, set<list<Point>>> named
}
service Sending { Sets send(1: Sets sets, 2: set<map<i32, Point>> maps), set<set<Point>> all(1: list<set<list<binary>>> data) }
