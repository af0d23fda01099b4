// Structs that contain themselves: directly, in containers, and through each other.
struct Chain { 1: i32 value, 2: optional Chain next }
struct Branch { 1: string name, 2: list<Branch> branches, 3: map<string, Branch> named }
struct Egg { 1: optional Hen hen }
struct Hen { 1: list<Egg> eggs }
union Json { 1: string text, 2: double number, 3: list<Json> array, 4: map<string, Json> object }
service Recursions { Chain longer(1: Chain chain), Branch grow(1: Branch branch, 2: Egg egg), Json parse(1: Json json) }
