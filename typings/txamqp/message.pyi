from collections.abc import Sequence
from typing import Any

from txamqp.content import Content
from txamqp.spec import Method

class Message:
    method: Method
    fields: Sequence[Any]
    content: Content | None
    def __init__(self, method: Method, fields: Sequence[Any], content: Content | None = ...) -> None: ...
    def __len__(self) -> int: ...
    def __getitem__(self, idx: int) -> Any: ...
    # The method's arguments, by the names the specification gives them.
    def __getattr__(self, attr: str) -> Any: ...
