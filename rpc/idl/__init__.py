"""The IDL of a stub: its methods, types, annotations and doc comments.

The stubs of the Thrift compiler keep neither annotations nor the names of enums, nor which strings are text. So
``thrift-rpc compile`` writes them to ``idl.json``. Client and service options (``timeout_ms``, ``idempotent``) and the
command line read them by :func:`load`.
"""

from rpc.idl.descriptions import (
    ConstantDescription,
    EnumDescription,
    Field,
    Interface,
    MethodDescription,
    ServiceDescription,
    StructDescription,
)
from rpc.idl.document import FILE_NAME, FORMAT, parse, read
from rpc.idl.loading import IS_UNION, is_union, load, text_of
from rpc.idl.python_names import RENAMED, python_name
from rpc.idl.types import BASE_TYPES, BaseType, EnumType, ListType, MapType, SetType, StructType, Type

__all__ = [
    "BASE_TYPES",
    "FILE_NAME",
    "FORMAT",
    "IS_UNION",
    "RENAMED",
    "BaseType",
    "ConstantDescription",
    "EnumDescription",
    "EnumType",
    "Field",
    "Interface",
    "ListType",
    "MapType",
    "MethodDescription",
    "ServiceDescription",
    "SetType",
    "StructDescription",
    "StructType",
    "Type",
    "is_union",
    "load",
    "parse",
    "python_name",
    "read",
    "text_of",
]
