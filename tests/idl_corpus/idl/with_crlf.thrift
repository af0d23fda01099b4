/**
 * Lines end as on Windows.
 */
namespace py with_crlf
struct Line {
  1: string text, // a comment
  # another one
  2: list<string> words
}
service Lines { Line split(1: Line line) }
