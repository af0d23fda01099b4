# Comments and separators as in old files.
cpp_include "vector"
typedef byte Octet
struct Old {
  1: byte a;
  2: Octet b
  3: i8 c,
  /* block */ 4: string d;
}
enum OldEnum { ONE = 1; TWO = 2, THREE }
const string SINGLE = 'it is "quoted"'
service Olds {
  Old first(1: byte a; 2: Octet b),
  void second(1: Old it);
  OldEnum third()
}
