from collections.abc import Iterator
from typing import Any, Generic, TypeVar

_Item = TypeVar("_Item")

DEFAULT_SPEC: str

class SpecContainer(Generic[_Item]):
    items: list[_Item]
    byname: dict[str, _Item]
    byid: dict[int, _Item]
    bypyname: dict[str, _Item]
    indexes: dict[_Item, int]
    def add(self, item: _Item) -> None: ...
    def index(self, item: _Item) -> int: ...
    def __iter__(self) -> Iterator[_Item]: ...
    def __len__(self) -> int: ...

class Constant:
    name: str
    id: int
    klass: str | None
    docs: list[str]

class Field:
    name: str
    id: int
    type: str
    docs: list[str]
    def __init__(self, name: str, id: int, type: str, docs: list[str]) -> None: ...

class Method:
    DEFAULTS: dict[str, Any]
    klass: Class
    name: str
    id: int
    content: bool
    responses: list[Method]
    synchronous: bool
    fields: SpecContainer[Field]
    description: str
    docs: list[str]
    response: bool
    def __init__(
        self,
        klass: Class,
        name: str,
        id: int,
        content: bool,
        responses: list[Method],
        synchronous: bool,
        description: str,
        docs: list[str],
    ) -> None: ...

class Class:
    spec: Spec
    name: str
    id: int
    handler: str
    fields: SpecContainer[Field]
    methods: SpecContainer[Method]
    docs: list[str]
    def __init__(self, spec: Spec, name: str, id: int, handler: str, docs: list[str]) -> None: ...

class Spec:
    major: int
    minor: int
    file: str | None
    constants: SpecContainer[Constant]
    classes: SpecContainer[Class]
    klass: type
    def __init__(self, major: int, minor: int, file: str | None) -> None: ...
    def post_load(self) -> None: ...
    def parse_method(self, name: str) -> Method: ...

def load(specfile: str) -> Spec: ...
def load_string(specfilestr: str | bytes, specfilename: str | None = ...) -> Spec: ...
def pythonize(name: str) -> str: ...
