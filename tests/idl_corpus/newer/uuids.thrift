// The type uuid, which compilers have from 0.20 on.
typedef uuid Key
struct Row { 1: uuid id, 2: list<uuid> parents, 3: map<uuid, string> names, 4: set<Key> keys }
service Rows { uuid make(1: Key like), Row row(1: Row row), set<list<uuid>> groups(1: map<list<uuid>, Row> rows) }
