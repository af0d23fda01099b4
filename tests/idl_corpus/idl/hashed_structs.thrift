// Structs, unions and exceptions in sets and as keys.
struct Point { 1: i32 x, 2: i32 y }
struct Path { 1: list<Point> points, 2: string name, 3: map<string, set<i32>> tags, 4: optional Path detour }
union Place { 1: Point point, 2: string name }
exception Lost { 1: Point where, 2: list<string> seen }
struct Maps {
  1: set<Point> points = [{"x": 1}]
  2: map<Point, string> names
  3: map<string, set<Path>> paths
  4: set<Place> places
  5: map<Lost, i32> losses
  6: list<map<Path, Point>> routes
}
const set<Point> CORNERS = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
const map<Point, Point> OPPOSITE = {{"x": 0}: {"x": 1}}
service Mapping {
  set<Point> points(1: set<Path> paths) throws (1: Lost lost)
  Maps maps(1: Maps maps, 2: map<Point, list<Point>> near)
}
