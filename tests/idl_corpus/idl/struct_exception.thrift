// The name of Python's base exception.
exception Exception { 1: string message }
service Excepting { i32 f(1: i32 a) throws (1: Exception error), void g() }
