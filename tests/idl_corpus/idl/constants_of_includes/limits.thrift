namespace py constants_of_includes.limits
enum Unit { METRE = 1, FOOT = 2 }
const i32 MOST = 0x10
const string NAME = 'limit'
const list<i32> STEPS = [1, 2, MOST]
const map<string, i32> BY_NAME = {"most": MOST, NAME: 1}
struct Range { 1: i32 low = 0, 2: i32 high = MOST, 3: Unit unit = Unit.METRE }
const Range WHOLE = {"low": 0, "high": 16}
