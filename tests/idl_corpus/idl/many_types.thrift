// Every base type: as field, element, key, argument and result.
struct Everything { 1: bool a, 2: i8 b, 3: i16 c, 4: i32 d, 5: i64 e, 6: double f, 7: string g, 8: binary h }
service Types {
  bool a(1: bool it), i8 b(1: i8 it), i16 c(1: i16 it), i32 d(1: i32 it), i64 e(1: i64 it), double f(1: double it)
  string g(1: string it), binary h(1: binary it), Everything all(1: Everything it)
  map<bool, i8> ab(1: map<i8, bool> it), map<i16, i32> cd(1: map<i32, i16> it), map<i64, double> ef(1: map<double, i64> it)
}
