/**
 * The file's own comment.
 */

/** A struct.
  * @param nothing
  */
struct Documented {
  /** The first field. */
  1: i32 a  // not a doc
  /**
   * The second field,
   * on two lines.
   */
  2: string b
}
/** A "quoted" service with a ''' in it. */
service Documents {
  /** Returns it.
   *
   *     indented example
   */
  Documented get(/** the argument */ 1: Documented it)
  /**/
  void none()
}
