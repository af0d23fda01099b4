// Containers in containers, four deep, with every base type inside.
struct Grid {
  1: list<list<list<i32>>> cells
  2: map<string, map<i64, list<set<string>>>> index
  3: list<map<bool, double>> flags
  4: map<i16, list<binary>> chunks
}
service Grids {
  Grid turn(1: Grid grid)
  map<string, list<map<i32, list<Grid>>>> group(1: list<set<i8>> sizes, 2: map<double, list<bool>> weights)
}
