// Names that are keywords of Python, which newer compilers rename.
struct Message { 1: required string from, 2: list<string> to, 3: bool is, 4: i32 class, 5: map<string, list<i32>> in = {"a": [1]} }
struct lambda { 1: i32 def }
union with { 1: i32 if, 2: string else }
exception raise { 1: string except, 2: i32 from }
enum Answer { None = 0, True = 1, in = 2 }
const i32 global = 3
const Message try = {"from": "a"}
service Keywords {
  Message import(1: Message from, 2: lambda as) throws (1: raise yield)
  with pass(1: with with, 2: set<lambda> in)
  oneway void print(1: Answer not)
}
