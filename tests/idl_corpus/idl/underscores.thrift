// Names that begin or end with an underscore.
struct _Hidden { 1: i32 _a, 2: string b_ }
enum _Level { _LOW = 1, HIGH_ = 2 }
union _Any_ { 1: _Hidden hidden, 2: i32 _n }
exception _Failed { 1: string _why }
const _Hidden _DEFAULT = {"_a": 1}
const list<_Hidden> _MANY = [{"_a": 2}]
service Hiding { _Hidden _show(1: _Hidden _it, 2: _Level level) throws (1: _Failed _failed), list<_Any_> any(1: set<_Hidden> all) }
