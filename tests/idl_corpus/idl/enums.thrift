// Enums: numbered, unnumbered, mixed, as keys, defaults and constants.
enum Plain { A, B, C }
enum Mixed { X = 5, Y, Z = 0x20, W }
struct Choice { 1: Plain plain = Plain.B, 2: Mixed mixed = 6, 3: map<Mixed, list<Plain>> by, 4: set<Plain> some }
const Mixed FAVOURITE = Mixed.Z
const map<Plain, Mixed> PAIRS = {Plain.A: Mixed.X, Plain.C: Mixed.W}
service Choices { Plain choose(1: Choice choice, 2: Mixed mixed), list<Mixed> all() }
