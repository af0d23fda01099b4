// Arguments, fields and methods with the names of types.
struct Work { 1: i32 Work_ , 2: string work }
struct Item { 1: list<Item> Item, 2: Work work }
service Works { Work Work(1: Work Work), Item item(1: Item item, 2: list<Work> works) }
