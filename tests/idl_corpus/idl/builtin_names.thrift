// Names of Python's types and functions.
struct Builtins { 1: i32 range, 2: string str, 3: bool type, 4: i64 id, 5: map<string, i32> dict, 6: double int, 7: list<i32> object, 8: binary bytes }
struct str { 1: i32 len }
enum dict { max, min }
service tuple { Builtins sum(1: list<i32> iter, 2: i32 object), str format(1: str str, 2: dict dict), list<str> filter(1: i32 input) }
