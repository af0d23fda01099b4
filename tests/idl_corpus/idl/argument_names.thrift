// Arguments with names that generated code uses itself.
struct Options { 1: string x, 2: i32 L, 3: i32 key, 4: i32 value, 5: i32 other, 6: i32 iprot, 7: i32 d }
exception Error { 1: i32 key, 2: i32 value, 3: string x }
exception ValueError { 1: string why }
service Arguments {
  Options run(1: string args, 2: i32 seqid, 3: Options oprot, 4: list<i32> defer) throws (1: Error e, 2: ValueError x)
  i32 one(1: Options args)
  oneway void tell(1: i32 result, 2: i32 success, 3: i32 iprot, 4: i32 d, 5: i32 f)
}
