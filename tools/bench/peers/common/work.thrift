/** What the peers that speak Thrift are asked. */

namespace py work

/** How far a worker has come. */
struct Progress {
  /** How many `zip` it has run. */
  1: required i64 zipped
  /** Its own clock: only differences mean anything. */
  2: required double seconds
}

service Bench {
  /** Add two numbers: the work that all peers do. */
  i32 add(1: i32 a, 2: i32 b)

  /** Answer `size` bytes. */
  binary produce(1: i32 size)

  /** Count up; nobody waits. */
  oneway void zip()

  /** Tell how far this worker has come. */
  Progress progress()
}
