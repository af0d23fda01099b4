/**
 * What the project's own IDL has no example of, for test_generated_equality.py.
 *
 * Left out is what Thrift's Python cannot read back: containers and mutable structs in sets and as keys, and fields
 * without numbers, of which its compiled part sends nothing. ``Keyed`` has no form in JSON.
 */

enum Colour { RED = 1, GREEN = 2, BLUE = -3 }
typedef binary Blob
typedef map<Colour, list<Blob>> Shelf
struct Point { 1: i32 x, 2: required i32 y } (python.immutable = "")
union Either { 1: Point point, 2: Shelf shelf, 3: string text }
exception Bad { 1: string why, 2: Either either, 3: required i64 code }
exception Worse { 1: string why }
struct Tree { 1: i64 number, 2: list<Tree> branches, 3: map<string, Tree> named, 4: optional Tree only }
struct All {
  1: bool flag, 2: i8 small, 3: i16 short, 4: i32 number, 5: i64 long, 6: double real, 7: string text, 8: binary data,
  9: Colour colour = Colour.GREEN, 20: optional Bad bad, 21: required string needed, 22: list<i32> numbers = [1, 2],
  300: Point point = {"x": 1, "y": 2}, 301: bool last = 1
}
struct Containers {
  1: list<bool> flags, 2: set<string> words, 3: map<i64, double> reals, 4: set<Point> points, 5: list<Bad> bads,
  6: list<list<set<i16>>> nested, 7: map<binary, map<bool, Either>> eithers, 8: map<double, binary> blobs,
  9: list<Worse> empty, 10: map<i8, list<double>> bytes, 11: set<Worse> errors, 12: list<All> alls
}
struct Keyed { 1: map<Point, Bad> bads, 2: list<map<Worse, i32>> worses }
service Everything {
  bool flag(1: bool value), i8 small(1: i8 value), i16 short_(1: i16 value), i32 number(1: i32 value),
  i64 long_(1: i64 value), double real(1: double value), string text(1: string value), binary data(1: binary value),
  Colour colour(1: Colour value = Colour.RED), list<string> strings(1: list<string> value),
  set<i32> numbers(1: set<i32> value), map<string, binary> blobs(1: map<string, binary> value),
  Point point(1: Point value), Either either(1: Either value), Bad bad(1: Bad value) throws (1: Bad bad),
  Tree tree(1: Tree value), All all(1: All value) throws (2: Worse worse, 1: Bad bad),
  Containers containers(1: Containers value), Keyed keyed(1: Keyed value), Shelf shelf(1: list<Shelf> value)
  void nothing() throws (1: Bad bad, 20: Worse worse), oneway void tell(1: All first, 300: i64 second),
  i32 many(9: bool i, 1: i32 a, 2: i32 b = 7, 3: i64 c, 40: string d, 5: binary e = "x", 6: required double f),
}
