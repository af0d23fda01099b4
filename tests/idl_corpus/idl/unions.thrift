// Unions, also in unions, in lists and as results.
struct Circle { 1: required double radius }
struct Square { 1: required double side }
union Shape { 1: Circle circle, 2: Square square, 3: list<Shape> group, 4: string name }
union Answer { 1: Shape shape, 2: i32 code }
service Shapes { Answer ask(1: Shape shape), list<Shape> all(1: list<Answer> answers) }
