// Typedefs of typedefs, of containers, of structs that follow, and with docs.
typedef i64 Id
/** Names a thing. */
typedef string Label
typedef Id ParentId
typedef list<ParentId> Ids
typedef map<Label, Ids> Tree
typedef Node Vertex
struct Node { 1: Id id, 2: Label label, 3: Ids children, 4: Tree tree }
const ParentId ROOT = 7
const Ids FIRST = [1, ROOT]
service Trees { Vertex find(1: ParentId id, 2: Ids among), Ids all(1: Tree tree) }
