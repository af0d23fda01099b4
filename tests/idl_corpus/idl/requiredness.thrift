// Required, optional and neither, in each order.
struct Mixed { 1: optional string a, 2: required i32 b, 3: string c, 4: required list<Inner> d, 5: optional Inner e }
struct Inner { 1: required string name }
service Requiring { Mixed pass_on(1: Mixed mixed, 2: required i32 must), optional_ignored keep(1: optional_ignored it) }
struct optional_ignored { 3: required binary data }
