// Lists, sets and maps in sets and as keys; structs in those.
struct Cell { 1: i32 row, 2: i32 column }
struct Board {
  1: set<list<i32>> lines = [[1, 2], [3]]
  2: map<list<string>, i32> words
  3: set<set<i64>> groups
  4: set<map<string, list<i32>>> tables
  5: map<set<string>, set<list<Cell>>> cells
  6: map<map<i32, string>, double> weights
  7: list<set<list<binary>>> blobs
}
const set<list<i32>> LINES = [[1, 2], [3]]
const map<list<i32>, set<set<string>>> WORDS = {[1]: [["a"], ["b", "c"]]}
const list<map<map<i32, string>, i32>> DEEP = [{{1: "a"}: 2}]
exception Full { 1: set<list<i32>> lines }
service Boards {
  Board turn(1: Board board) throws (1: Full full)
  set<list<i32>> lines(1: map<list<Cell>, string> cells, 2: set<set<list<i32>>> deep)
}
