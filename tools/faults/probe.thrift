/** What is asked of workers while faults are injected: answers carry their question, and runs are written down. */

namespace py probe

service Probe {
  /** Answer `number`, after so many milliseconds. */
  i32 echo(1: i32 number, 2: i32 milliseconds) (idempotent = "true")

  /** The same, but it may not be run twice. */
  i32 once(1: i32 number, 2: i32 milliseconds)

  /** Answer the bytes that came. */
  binary carry(1: binary data) (idempotent = "true")

  /** Write `number` down; nobody waits. */
  oneway void note(1: i32 number)

  /** End the worker's process. */
  void crash(1: i32 number) (idempotent = "true")
}
