// Constants that are structs, and hold structs.
enum Kind { A = 1 }
struct Part { 1: string name, 2: Kind kind, 3: list<i32> sizes }
union Piece { 1: Part part, 2: i32 number }
const Part ONE = {"name": "one", "kind": Kind.A, "sizes": [1]}
const map<string, Part> PARTS = {"one": {"name": "one"}}
const list<Piece> PIECES = [{"number": 3}, {"part": {"name": "x"}}]
service Parts { Part get(1: Piece piece) }
