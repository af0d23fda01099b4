// All that Apache Thrift's cross-language test exercises, in words and values of our own. Field numbers have gaps, and
// no name is a reserved word of another language, because programs in other languages are to use this file too.

enum Rig { ROWED = 0, SLOOP = 1, KETCH, BARQUE = 40, HULK = 2147483647 }

typedef i64 HullNumber
typedef HullNumber OldHullNumber
typedef map<string, i32> Manifest
typedef list<HullNumber> Convoy

const i32 DEEPEST = 11034

// -- plain and nested structs

struct Berth { 1: string quay, 4: i8 lane, 9: i32 metres, 11: i64 surveyed }
struct Mooring { 1: i16 buoy, 2: Berth berth, 5: double sway }
struct Chart { 1: list<Mooring> moorings, 2: map<string, Berth> named, 3: set<Berth> free, 4: Mooring best }
struct Nothing {}

struct Cargo {
  1: map<Rig, HullNumber> holders
  2: list<Berth> berths
  3: optional binary seal
  4: bool dry
}

// Every base type, set by its number, and unset as it likes.
struct Log {
  1: optional bool calm, 2: optional i8 watch, 3: optional i16 bearing, 4: optional i32 fathoms, 5: optional i64 stamp
  6: optional double wind, 7: optional string entry, 8: optional binary stain, 9: optional Rig rig
  10: optional list<i32> tides, 11: optional set<string> crew, 12: optional Manifest stores, 13: optional Berth berth
}

// Field numbers that are near to each other, far away, out of order, and the largest one; bools between them.
struct Buoys {
  1: bool a, 2: bool b, 15: i32 c, 16: bool d, 17: bool e, 32: string f, 300: bool g, 4000: i64 h, 4001: bool i
  3: bool j, 20000: list<bool> k, 32767: bool l
}

// -- values that are not sent

struct Rules {
  1: i32 knots = 6
  2: string flag = "Grün – frei"
  3: bool lit = true
  4: Rig rig = Rig.KETCH
  5: list<i32> hours = [8, 13]
  6: Manifest stores = {"rope": 12, "tar": DEEPEST}
  7: optional i32 limit = 90
  8: optional double draught
  9: i32 depth = DEEPEST
}
struct Pass { 1: required string holder, 2: required i32 number, 3: required Berth berth, 4: optional string note }

union Load {
  1: i32 tons
  2: string note
  3: Berth berth
  4: list<binary> crates
  5: bool empty
  6: Rig rig
}
struct Manifested { 1: Load first, 2: list<Load> others, 3: map<string, Load> named }

// -- recursion

struct Rope { 1: i32 knot, 2: optional Rope rest }
struct Pier { 1: string name, 2: list<Pier> arms }
struct Ebb { 1: optional Flood turn }
struct Flood { 1: optional Ebb turn, 2: string mark }

// -- what changes from one version to the next

struct Notice { 1: i32 number, 5: string text, 9: i64 kept }
struct LaterNotice {
  1: i32 number
  2: Berth berth
  3: list<Mooring> moorings
  4: map<i32, set<string>> codes
  5: string text
  6: bool loud
  7: double level
  8: binary image
  9: string kept          // an i64 before
  10: Load load
  11: i8 small
  12: i16 middle
  13: i64 large
}

// -- exceptions

exception Aground { 1: i32 code, 2: string where }
exception Collision { 3: i32 code, 4: Mooring with_whom, 7: map<string, list<i32>> damage }

service Harbour {
  void nothing()
  bool flag(1: bool it)
  i8 octet(1: i8 it)
  i16 small(1: i16 it)
  i32 middle(1: i32 it)
  i64 large(1: i64 it)
  double real(1: double it)
  string text(1: string it)
  binary blob(1: binary it)
  Rig rig(1: Rig it)
  OldHullNumber hull(1: HullNumber it)
  Manifest manifest(1: Manifest it)
  Convoy convoy(1: Convoy it)

  Berth berth(1: Berth it)
  Mooring mooring(1: Mooring it)
  Chart chart(1: Chart it)
  Nothing empty(1: Nothing it)
  Log entry(1: Log it)
  Buoys buoys(1: Buoys it)
  Rules rules(1: Rules it)
  Pass admit(1: Pass it)
  Load load(1: Load it)
  Manifested loads(1: Manifested it)

  map<i32, i32> depths(1: map<i32, i32> it)
  map<string, string> labels(1: map<string, string> it)
  map<bool, bool> lamps(1: map<bool, bool> it)
  map<i64, double> levels(1: map<double, i64> it)
  map<i8, i16> shifts(1: map<i16, i8> it)
  set<i32> marks(1: set<i32> it)
  set<string> names(1: set<string> it)
  set<double> signals(1: set<bool> it)
  list<i32> tides(1: list<i32> it)
  list<i8> octets(1: list<i8> it)
  list<i64> stamps(1: list<i16> it)
  list<bool> lights(1: list<bool> it)
  list<double> winds(1: list<double> it)
  list<string> lines(1: list<string> it)
  list<binary> crates(1: list<binary> it)
  list<Berth> berths(1: list<Berth> it)
  list<list<i32>> grid(1: list<list<i32>> it)
  list<map<string, set<i32>>> layers(1: list<map<string, set<i32>>> it)
  map<i32, map<i32, i32>> soundings(1: i32 day)
  map<HullNumber, map<Rig, Cargo>> survey(1: Cargo it)

  Cargo several(1: i8 first, 2: i32 second, 3: i64 third, 4: map<i16, string> fourth, 5: Rig fifth, 6: HullNumber sixth)
  string scattered(9: string late, 2: bool early, 300: list<string> far, 4: double middle)
  i32 moor(1: i32 lines = 4, 2: string knot = "bowline", 3: list<i32> turns = [2, 3])

  Rope rope(1: Rope it)
  Pier pier(1: Pier it)
  Ebb ebb(1: Ebb it)

  void steer(1: string course) throws (1: Aground aground)
  Mooring pilot(1: string course, 2: i32 speed) throws (1: Aground aground, 4: Collision collision)
  oneway void signal(1: i32 lamp)
  oneway void report(1: Log it, 2: string who)

  Notice post(1: Notice it)
}

// A second service of the same worker. Methods have the names of the first one, and other types.
service Ferry {
  string text(1: string it)
  i64 middle(1: i64 it)
  Berth land(1: Berth it)
}

// The first service as a program of another version knows it.
service LaterHarbour extends Harbour {
  i32 salvage(1: i32 tons)
  oneway void whistle(1: i32 times)
}

service Board { LaterNotice post(1: LaterNotice it) }
service OldBoard { Notice post(1: Notice it) }
