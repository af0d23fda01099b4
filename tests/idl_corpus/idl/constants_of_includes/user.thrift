include "limits.thrift"
namespace py constants_of_includes.user
// Constants and defaults that are those of an included file.
const i32 MORE = limits.MOST
const limits.Unit BEST = limits.Unit.FOOT
const map<limits.Unit, string> NAMES = {limits.Unit.METRE: "m", limits.Unit.FOOT: limits.NAME}
struct Request {
  1: i32 size = limits.MOST
  2: limits.Unit unit = limits.Unit.FOOT
  4: limits.Range range = {"low": 3}
}
service Limits { Request clip(1: Request request = {"size": 2}, 2: i32 most = limits.MOST) }
