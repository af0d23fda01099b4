# Made by `thrift-rpc compile`; it writes over what is changed here.
from typing import Any as _Any, ClassVar as _ClassVar, Final as _Final
from . import ttypes as _idl_control_ttypes

class Status:
    """The state of a worker. The numbers are those of fb303's fb_status, of which no worker has DEAD and STOPPED."""
    DEAD: _Final = 0
    STARTING: _Final = 1
    """It has not served since its start."""
    ALIVE: _Final = 2
    """All its services are consumed."""
    STOPPING: _Final = 3
    """It takes no more requests, and finishes its calls."""
    STOPPED: _Final = 4
    WARNING: _Final = 5
    """It has served, and does not now: it connects again, or the broker is blocked, or refuses it."""
    _VALUES_TO_NAMES: _ClassVar[dict[int, str]]
    _NAMES_TO_VALUES: _ClassVar[dict[str, int]]

class ServiceState:
    """The state of one service in a worker."""
    UNKNOWN: _Final = 0
    """A state that this version of the IDL does not know."""
    NO_CHANNEL: _Final = 1
    """It waits for the worker's channel."""
    DECLARING: _Final = 2
    """Its queue and bindings are declared."""
    SUBSCRIBING: _Final = 3
    """The broker has not answered basic.consume yet."""
    CONSUMING: _Final = 4
    """Its queue is consumed."""
    STOPPED: _Final = 5
    """It consumes nothing any more: the worker is stopping."""
    _VALUES_TO_NAMES: _ClassVar[dict[int, str]]
    _NAMES_TO_VALUES: _ClassVar[dict[str, int]]

class Pong:
    """The answer to `ping`."""
    instance: str
    """The worker's name: a message with the key <service>@<instance> reaches it alone."""
    status: int
    services: list[str]
    """The names of its services on the broker."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, instance: str = ..., status: int = ..., services: list[str] = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class MethodDescription:
    """A method of a service."""
    name: str
    is_oneway: bool
    is_idempotent: bool
    """Whether the IDL says that the method may be run twice."""
    timeout: float | None
    """Seconds, by the IDL's annotation `timeout_ms`."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, name: str = ..., is_oneway: bool = ..., is_idempotent: bool = ..., timeout: float | None = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class ServiceDescription:
    """A service of a worker."""
    name: str
    """Its name on the broker."""
    idl_name: str
    """Its name in the IDL."""
    stub: str
    """Its stub module. With the package that it lies in removed, it is a key of `services` in idl.json."""
    state: int
    exchange: str
    queue: str
    methods: list[_idl_control_ttypes.MethodDescription]
    options: dict[str, str]
    """The options that differ from their defaults, as text. Of keys, users and functions only that there are some."""
    idl_json: str | None
    """The text of idl.json beside the stub. Only when `describe` names the service; absent when there is no such file."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, name: str = ..., idl_name: str = ..., stub: str = ..., state: int = ..., exchange: str = ..., queue: str = ..., methods: list[_idl_control_ttypes.MethodDescription] = ..., options: dict[str, str] = ..., idl_json: str | None = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class WorkerDescription:
    """The answer to `describe`."""
    instance: str
    version: str
    """The version of thrift-amqp-rpc."""
    host: str
    pid: int
    uptime: float
    """Seconds since the worker was started."""
    status: int
    details: str
    """The status in words, with the reason."""
    options: dict[str, str]
    """The worker's own options, as text."""
    services: list[_idl_control_ttypes.ServiceDescription]
    """Only the one that `describe` names, if it names one."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, instance: str = ..., version: str = ..., host: str = ..., pid: int = ..., uptime: float = ..., status: int = ..., details: str = ..., options: dict[str, str] = ..., services: list[_idl_control_ttypes.ServiceDescription] = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class Latency:
    """How long calls took."""
    total: float
    """Seconds of all calls together."""
    counts: list[int]
    """The calls in each bucket: up to the bound of this place in `WorkerStats.bounds`; at the end, above the last."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, total: float = ..., counts: list[int] = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class MethodStats:
    """What a worker has counted for one method since its start."""
    method: str
    """The name in the IDL; _OTHER stands for all names that are no method."""
    outcomes: dict[str, int]
    """Calls by how they ended: returned, raised, failed, cancelled, refused, rejected or dropped."""
    errors: dict[str, int]
    """Calls without a result by the name of their exception or error."""
    latency: _idl_control_ttypes.Latency
    """Of those that began, from the beginning of the call to its reply."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, method: str = ..., outcomes: dict[str, int] = ..., errors: dict[str, int] = ..., latency: _idl_control_ttypes.Latency = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class ServiceStats:
    """One service in a worker, and what it does now."""
    name: str
    state: int
    running: int
    """Calls in progress: the slots in use."""
    waiting: int
    """Requests that have arrived in the worker, and wait for a slot."""
    concurrency: int
    """The slots."""
    methods: list[_idl_control_ttypes.MethodStats]
    """Methods that were called. Empty when `WorkerStats.kept` is false."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, name: str = ..., state: int = ..., running: int = ..., waiting: int = ..., concurrency: int = ..., methods: list[_idl_control_ttypes.MethodStats] = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class WorkerStats:
    """The answer to `stats`. Counts begin anew with each start of the worker."""
    instance: str
    kept: bool
    """Whether the worker counts calls."""
    uptime: float
    """Seconds since the worker was started."""
    bounds: list[float]
    """The upper bounds of the buckets of each `Latency`, in seconds, ascending."""
    services: list[_idl_control_ttypes.ServiceStats]
    """Only the one that `stats` names, if it names one."""
    thrift_spec: _ClassVar[_Any]
    def __init__(self, instance: str = ..., kept: bool = ..., uptime: float = ..., bounds: list[float] = ..., services: list[_idl_control_ttypes.ServiceStats] = ...) -> None: ...
    def read(self, iprot: _Any) -> None: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...

class UnknownKey(Exception):
    """There is no counter or option of this name."""
    @property
    def key(self) -> str:
        ...
    thrift_spec: _ClassVar[_Any]
    def __init__(self, key: str = ...) -> None: ...
    @classmethod
    def read(cls, iprot: _Any) -> UnknownKey: ...
    def write(self, oprot: _Any) -> None: ...
    def validate(self) -> None: ...
