// Exceptions: empty, with structs, with the names that others expect, several in one method.
struct Position { 1: i32 line, 2: i32 column }
exception Empty {}
exception SyntaxFault { 1: required string message, 2: optional Position position, 3: list<string> hints = ["x"] }
exception Busy { 1: i64 retry_after, 2: map<string, string> details }
service Parsing {
  void check(1: string text) throws (1: SyntaxFault syntax, 2: Busy busy, 3: Empty empty)
  i32 count(1: string text) throws (1: Busy busy)
  bool is_valid(1: string text) throws (2: Empty empty, 1: SyntaxFault syntax)
}
