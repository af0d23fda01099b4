namespace py inheritance.root
// The service at the root; its types are used by its heirs.
struct Status { 1: i32 code, 2: string text }
exception Refused { 1: Status status }
service Root { Status status() throws (1: Refused refused), oneway void touch() }
