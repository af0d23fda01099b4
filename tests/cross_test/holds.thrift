// Structs and containers as elements of sets and as keys: not all languages have them (Go), and JSON has no such keys.
struct Label { 1: string quay, 2: i32 number }
struct Hold {
  1: map<Label, string> keepers
  2: map<set<i8>, list<map<string, set<Label>>>> shelves
}
struct Stacks { 1: set<list<i32>> stacks, 2: set<Label> labels, 3: set<set<string>> pairs, 4: set<map<i32, bool>> lamps }

// Fields of old IDLs: the compiler numbers them -1, -2.
struct Unnumbered { i32 depth, i64 stamp, string note, binary stain, i8 lane, i16 buoy, list<i32> tides }

service Holds {
  Unnumbered unnumbered(1: Unnumbered it)
  Hold hold(1: Hold it)
  Stacks stacks(1: Stacks it)
  map<list<string>, Label> keyed(1: set<Label> it)
}
