/** What several services have in common: the Thrift tutorial's base service. */

namespace py shared

/** One line of a log: what was noted under a key. */
struct SharedStruct {
  /** The log id the value was noted under. */
  1: i32 key
  /** The result, as text. */
  2: string value
}

/** A service that remembers its results and gives them back by log id. */
service SharedService {
  /**
   * Look up what was noted under a log id.
   *
   * The value is the empty string when nothing was noted.
   */
  SharedStruct getStruct(1: i32 key) (idempotent = "true")
}
