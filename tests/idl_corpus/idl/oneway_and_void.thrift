// Methods without arguments, without results, and without replies.
service Signals {
  void nothing()
  oneway void fire()
  oneway void aim(1: i32 x, 2: list<i32> more)
  void swallow(1: map<string, string> all)
  bool ping()
}
