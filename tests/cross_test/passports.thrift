// The type uuid, which the compilers of some Debian releases do not have yet.
struct Passport { 1: uuid id, 2: list<uuid> stamps, 3: map<uuid, string> visas, 4: optional set<uuid> lost }

service Passports {
  uuid number(1: uuid it)
  Passport passport(1: Passport it)
  map<uuid, uuid> swap(1: list<uuid> it)
}
