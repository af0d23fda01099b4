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

  /** Answer `number`, after so many milliseconds; begin and end are written down. It may not be run twice. */
  i32 work(1: i32 number, 2: i32 milliseconds)

  /** Write `number` down, and block the reactor for so many milliseconds. */
  oneway void block(1: i32 number, 2: i32 milliseconds)

  /** Write `number` down, and end the worker's process. */
  oneway void quit(1: i32 number)

  /** End the worker's process. */
  void crash(1: i32 number) (idempotent = "true")
}
