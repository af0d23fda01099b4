/** The Thrift tutorial's calculator, with what a test of the framework needs beside it. */

include "shared.thrift"

namespace py calculator

/** The name the tutorial gives to its numbers. */
typedef i32 MyInteger

/** The number the tutorial's clients print first. */
const MyInteger INT32CONSTANT = 9853

/** The largest body, in bytes, that `blob` is expected to answer back. */
const i32 MAX_BLOB_BYTES = 16777216

/** How each operation is written down. */
const map<string, string> SYMBOLS = {"ADD": "+", "SUBTRACT": "-", "MULTIPLY": "*", "DIVIDE": "/"}

/** What can be done with two numbers. */
enum Operation {
  ADD = 1
  SUBTRACT = 2
  MULTIPLY = 3
  /** Whole-number division; the divisor may not be 0. */
  DIVIDE = 4
}

/** Two numbers and what to do with them. */
struct Work {
  /** The left operand. */
  1: MyInteger num1 = 0
  /** The right operand. */
  2: MyInteger num2
  /** What to do with them. */
  3: Operation op = Operation.ADD
  /** For whoever reads the log. */
  4: optional string comment
}

/** Numbers to be added up. */
struct Numbers {
  /** May be empty, not absent. */
  1: required list<i64> values
  /** For whoever reads the log. */
  2: optional string comment
}

/** The operation cannot be done with these numbers. */
exception InvalidOperation {
  /** The number of the operation that was asked for; see `Operation`. */
  1: i32 whatOp
  /** What is wrong with it. */
  2: string why
}

/** Sums, and answers that show what a transport does with what it carries. */
service Calculator extends shared.SharedService {
  /** Do nothing; answers that the service is there. */
  void ping() (idempotent = "true")

  /**
   * Add two numbers.
   *
   * InvalidOperation is thrown when the sum does not fit into 32 bits.
   */
  i32 add(1: i32 num1, 2: i32 num2) throws (1: InvalidOperation ouch) (idempotent = "true", timeout_ms = "5000")

  /** Do `work` and note the result under `logid`, where `getStruct` finds it. */
  i32 calculate(1: i32 logid, 2: Work w) throws (1: InvalidOperation ouch)

  /** Add up any number of numbers; 0 for none. */
  i64 sum(1: Numbers numbers) throws (1: InvalidOperation ouch) (idempotent = "true")

  /** Answer `work` as it came, defaults filled in. */
  Work echo(1: Work work) (idempotent = "true")

  /** Answer the bytes that came. */
  binary blob(1: binary data) (idempotent = "true")

  /** Ask for something to be done; nobody waits for an answer. */
  oneway void zip()
}
