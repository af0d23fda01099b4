/** What every worker tells of itself: a service that is named rpc.control on the broker. */

namespace py control

/** The state of a worker. The numbers are those of fb303's fb_status, of which no worker has DEAD and STOPPED. */
enum Status {
  DEAD = 0
  /** It has not served since its start. */
  STARTING = 1
  /** All its services are consumed. */
  ALIVE = 2
  /** It takes no more requests, and finishes its calls. */
  STOPPING = 3
  STOPPED = 4
  /** It has served, and does not now: it connects again, or the broker is blocked, or refuses it. */
  WARNING = 5
}

/** The state of one service in a worker. */
enum ServiceState {
  /** A state that this version of the IDL does not know. */
  UNKNOWN = 0
  /** It waits for the worker's channel. */
  NO_CHANNEL = 1
  /** Its queue and bindings are declared. */
  DECLARING = 2
  /** The broker has not answered basic.consume yet. */
  SUBSCRIBING = 3
  /** Its queue is consumed. */
  CONSUMING = 4
  /** It consumes nothing any more: the worker is stopping. */
  STOPPED = 5
}

/** The answer to `ping`. */
struct Pong {
  /** The worker's name: a message with the key <service>@<instance> reaches it alone. */
  1: string instance = ""
  2: Status status = Status.DEAD
  /** The names of its services on the broker. */
  3: list<string> services = []
}

/** A method of a service. */
struct MethodDescription {
  1: string name = ""
  2: bool is_oneway = false
  /** Whether the IDL says that the method may be run twice. */
  3: bool is_idempotent = false
  /** Seconds, by the IDL's annotation `timeout_ms`. */
  4: optional double timeout
}

/** A service of a worker. */
struct ServiceDescription {
  /** Its name on the broker. */
  1: string name = ""
  /** Its name in the IDL. */
  2: string idl_name = ""
  /** Its stub module. With the package that it lies in removed, it is a key of `services` in idl.json. */
  3: string stub = ""
  4: ServiceState state = ServiceState.UNKNOWN
  5: string exchange = ""
  6: string queue = ""
  7: list<MethodDescription> methods = []
  /** The options that differ from their defaults, as text. Of keys, users and functions only that there are some. */
  8: map<string, string> options = {}
  /** The text of idl.json beside the stub. Only when `describe` names the service; absent when there is no such file. */
  9: optional string idl_json
}

/** The answer to `describe`. */
struct WorkerDescription {
  1: string instance = ""
  /** The version of thrift-amqp-rpc. */
  2: string version = ""
  3: string host = ""
  4: i32 pid = 0
  /** Seconds since the worker was started. */
  5: double uptime = 0
  6: Status status = Status.DEAD
  /** The status in words, with the reason. */
  7: string details = ""
  /** The worker's own options, as text. */
  8: map<string, string> options = {}
  /** Only the one that `describe` names, if it names one. */
  9: list<ServiceDescription> services = []
}

/** How long calls took. */
struct Latency {
  /** Seconds of all calls together. */
  1: double total = 0
  /** The calls in each bucket: up to the bound of this place in `WorkerStats.bounds`; at the end, above the last. */
  2: list<i64> counts = []
}

/** What a worker has counted for one method since its start. */
struct MethodStats {
  /** The name in the IDL; _OTHER stands for all names that are no method. */
  1: string method = ""
  /** Calls by how they ended: returned, raised, failed, cancelled, refused, rejected or dropped. */
  2: map<string, i64> outcomes = {}
  /** Calls without a result by the name of their exception or error. */
  3: map<string, i64> errors = {}
  /** Of those that began, from the beginning of the call to its reply. */
  4: Latency latency = {}
}

/** One service in a worker, and what it does now. */
struct ServiceStats {
  1: string name = ""
  2: ServiceState state = ServiceState.UNKNOWN
  /** Calls in progress: the slots in use. */
  3: i32 running = 0
  /** Requests that have arrived in the worker, and wait for a slot. */
  4: i32 waiting = 0
  /** The slots. */
  5: i32 concurrency = 0
  /** Methods that were called. Empty when `WorkerStats.kept` is false. */
  6: list<MethodStats> methods = []
}

/** The answer to `stats`. Counts begin anew with each start of the worker. */
struct WorkerStats {
  1: string instance = ""
  /** Whether the worker counts calls. */
  2: bool kept = false
  /** Seconds since the worker was started. */
  3: double uptime = 0
  /** The upper bounds of the buckets of each `Latency`, in seconds, ascending. */
  4: list<double> bounds = []
  /** Only the one that `stats` names, if it names one. */
  5: list<ServiceStats> services = []
}

/** There is no counter or option of this name. */
exception UnknownKey {
  1: string key = ""
}

/** Answered by every worker, also while all its slots are taken and while it stops. */
service Control {
  /** The names of the worker's services, with commas. */
  string getName() (idempotent = "true")

  /** The version of thrift-amqp-rpc. */
  string getVersion() (idempotent = "true")

  Status getStatus() (idempotent = "true")

  /** The status in words, with the reason. */
  string getStatusDetails() (idempotent = "true")

  /**
   * Numbers by name: <service>.running, .waiting, .concurrency, and, if the worker counts calls, .calls, .exceptions
   * (of the IDL) and .errors (all other ends without a result).
   */
  map<string, i64> getCounters() (idempotent = "true")

  i64 getCounter(1: string key) throws (1: UnknownKey unknown) (idempotent = "true")

  /** The worker's own options. */
  map<string, string> getOptions() (idempotent = "true")

  string getOption(1: string key) throws (1: UnknownKey unknown) (idempotent = "true")

  /** When the worker was started, in seconds since 1970. */
  i64 aliveSince() (idempotent = "true")

  Pong ping() (idempotent = "true")

  /** The worker and its services; with a name, this service alone and its idl.json. */
  WorkerDescription describe(1: string name) (idempotent = "true")

  /** What the worker has counted; with a name, for this service alone. */
  WorkerStats stats(1: string name) (idempotent = "true")
}
