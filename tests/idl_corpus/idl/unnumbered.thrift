// Fields, arguments and exceptions without a number, some beside numbered ones.
struct Plain { i32 a, string b = "x", list<i32> c = [1] }
struct Partly { 1: string name, i32 count, 7: Plain plain, set<string> words }
struct Outer { 1: list<Partly> parts, 2: map<string, Plain> plains }
union Either { Plain plain, 1: i32 number }
exception Wrong { string why, 1: Plain what }
exception Denied { 1: string why }
struct Keyed { 1: map<list<i32>, Plain> plains, set<Plain> more }
service Unnumbered {
  Partly pass_on(1: Partly partly, i32 count) throws (Wrong wrong, Denied denied)
  Outer outer(1: Outer outer) throws (1: Wrong wrong)
  void nothing(string text)
  Either either(Either either, Keyed keyed)
}
