"""The fields of the structs that a message can have.

:func:`rpc.generated_classes.fields_of` knows generated classes alone, and gives no fields for other ones. A message
would lose its values then, so here such a class is refused.
"""

from __future__ import annotations

from typing import Any, Final

from thrift.Thrift import TApplicationException, TType

from rpc.errors import MalformedMessage

APPLICATION_EXCEPTION: Final = (
    None,
    (1, TType.STRING, "message", "UTF8", None),
    (2, TType.I32, "type", None, None),
)
"""The ``thrift_spec`` of Thrift's exception, which has none: the one struct that no compiler made."""


def described_fields(struct_class: type) -> list[tuple[Any, ...]]:
    """Return the fields of a generated class, or of Thrift's exception: number, ``TType``, name, details, default.

    :raises MalformedMessage: the class has no description of them.
    """
    if issubclass(struct_class, TApplicationException):
        specification: Any = APPLICATION_EXCEPTION
    else:
        specification = getattr(struct_class, "thrift_spec", None)
    if specification is None:
        raise MalformedMessage(f"{struct_class.__name__} has no thrift_spec: it was not made by Thrift's compiler")
    return [field for field in specification if field is not None]
