namespace py second_file
// A blank and a digit in the file's name.
struct Second { 1: string a }
service Seconds { Second get(1: Second second) }
