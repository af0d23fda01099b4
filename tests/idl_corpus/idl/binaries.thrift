// Binary in every place: field, key, element, default, constant.
const binary MAGIC = "PK"
struct Blob { 1: binary data, 2: list<binary> parts, 3: map<binary, string> names, 4: set<binary> sums, 5: binary tail = "x" }
service Blobs { binary join(1: Blob blob), Blob cut(1: binary data, 2: list<i32> sizes) }
