from typing import Any

from txamqp.message import Message
from txamqp.spec import Method

class Delegate:
    # Any: a delegate and its channels belong to the client class they were written for.
    client: Any
    handlers: dict[Method, Any]
    def __init__(self) -> None: ...
    def dispatch(self, channel: Any, message: Message) -> Any: ...
    def close(self, reason: Any) -> None: ...
