/** Figures about the documents in a key-value store. */

include "calculator.thrift"
include "kvstore.thrift"

namespace py report

/** What was counted over some documents. */
struct Summary {
  /** How many documents there are. */
  1: required i32 documents
  /** Their length in bytes, added up. */
  2: required i64 bytes
  /** Their words, added up: runs of bytes that are not ASCII white space. */
  3: required i64 words
  /** Bytes in a document on the average; 0 when there is none. */
  4: required double meanBytes
  /** The key of the longest document (the first of equals); absent when there is none. */
  5: optional string largestKey
}

/** Reads documents from `kvstore.KeyValueStore`, and has `calculator.Calculator` add up what it counts in them. */
service Report {
  /**
   * Give the figures of the first `limit` documents whose keys begin with `prefix`.
   *
   * InvalidArgument is thrown for a limit below 1; InvalidOperation when a sum becomes too large for the calculator.
   */
  Summary summarize(1: string prefix, 2: i32 limit)
    throws (1: kvstore.InvalidArgument invalid, 2: calculator.InvalidOperation ouch)
    (idempotent = "true", timeout_ms = "20000")
}
