// Definitions without content.
struct Nothing {}
exception NothingWrong {}
service Nowhere {}
service Somewhere extends Nowhere { Nothing get(1: Nothing nothing) throws (1: NothingWrong wrong), list<Nothing> many(1: map<i32, Nothing> all) }
