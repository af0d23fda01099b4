// Annotations wherever Thrift allows them.
typedef i64 (js.type = "Long") Long
typedef list<i32> (cpp.template = "std::list") Numbers
enum Level { LOW = 1 (note = "quiet"), HIGH = 2 } (scope = "all")
struct Tagged {
  1: i32 id (go.tag = 'json:"id"', deprecated)
  2: list<string> (cpp.template = "std::list") names
} (rust.derive = "Hash", final)
exception Failed { 1: string why } (message = "why")
service Tags {
  Tagged tag(1: Tagged it (cpp.ref), 2: Level level) throws (1: Failed failed) (timeout_ms = "250", idempotent = "true")
  Long count(1: Numbers numbers) (idempotent = "true")
} (owner = "us")
