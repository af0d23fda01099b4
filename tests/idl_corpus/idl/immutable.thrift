// Annotations that make Python's values immutable.
struct Fixed { 1: i32 number, 2: list<string> words = ["a"], 3: string name = "b" } (python.immutable = "")
struct Holder { 1: set<Fixed> fixed, 2: map<Fixed, string> names, 3: Fixed one }
service Fixing { Fixed fix(1: Fixed fixed), Holder hold(1: Holder holder) }
