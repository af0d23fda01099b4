// Types with the names that every service's module has for itself.
struct Client { 1: i32 id, 2: optional Client friend, 3: list<Processor> processors }
union Processor { 1: Client client, 2: Interface interface }
exception Iface { 1: Client client }
enum Interface { ETHERNET = 1, SERIAL = 2 }
struct defer { 1: set<list<Client>> clients, 2: Client first = {"id": 1} }
service Naming {
  Client Processor(1: Client Client, 2: Interface Interface = 1) throws (1: Iface iface)
  Processor defer(1: map<Client, Processor> defer, 2: defer all, 3: Client one = {"id": 2})
}
