// Fields with the names of the methods of generated structs.
struct Permissions { 1: bool read, 2: bool write, 3: required bool validate }
union Operation { 1: string read, 2: Permissions write }
exception Denied { 1: Permissions read, 2: string write, 3: required string validate }
struct Owner { 1: Permissions read, 2: list<Permissions> write, 3: map<string, set<list<Permissions>>> validate }
service Permitting {
  Permissions grant(1: Permissions read, 2: Operation write) throws (1: Denied denied)
  Owner own(1: Owner validate, 2: set<Permissions> all)
}
