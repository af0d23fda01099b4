/** A store of binary values under text keys. */

namespace py kvstore

/** The most entries that one `scan` gives. */
const i32 MAX_SCAN = 1000

/** A key and its value. */
struct Entry {
  1: required string key
  2: required binary value
}

/** Some of a store's entries, in the order of their keys (by code point). */
struct Page {
  1: required list<Entry> entries
  /** Where the following scan must start to go on; absent when this was the last page. */
  2: optional string nextKey
}

/** Nothing is stored under the key. */
exception NotFound {
  1: string key
}

/** An argument is outside of what the method takes. */
exception InvalidArgument {
  /** The argument's name in this file. */
  1: string argument
  /** What is wrong with it, and what is allowed. */
  2: string why
}

/** Keys and values that outlive the process. */
service KeyValueStore {
  /**
   * Store `value` under `key`; what was there before is replaced.
   *
   * InvalidArgument is thrown for an empty key.
   */
  void put(1: string key, 2: binary value) throws (1: InvalidArgument invalid) (idempotent = "true")

  /** Give the value stored under `key`. */
  binary get(1: string key) throws (1: NotFound missing, 2: InvalidArgument invalid) (idempotent = "true")

  /** Forget `key`; answers whether anything was stored under it. */
  bool remove(1: string key) throws (1: InvalidArgument invalid)

  /**
   * Give up to `limit` entries whose keys begin with `prefix`, from the key `start` on.
   *
   * An empty `prefix` takes all keys, an empty `start` begins with the first. InvalidArgument is thrown for a limit
   * below 1 or above MAX_SCAN.
   */
  Page scan(1: string prefix, 2: string start, 3: i32 limit) throws (1: InvalidArgument invalid) (idempotent = "true")

  /**
   * Store `value` under `key` when `expected` is stored there now; answers whether it was.
   *
   * An absent `expected` asks that nothing be stored under the key. An absent `value` forgets the key.
   */
  bool compareAndSwap(1: string key, 2: Swap swap) throws (1: InvalidArgument invalid)
}

/** What must be stored now, and what shall be. */
struct Swap {
  1: optional binary expected
  2: optional binary value
}
