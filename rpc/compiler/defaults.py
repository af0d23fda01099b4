"""Default values of fields that are lists, sets, maps or structs.

A struct's ``__init__`` copies its default when it was called without the argument. The compiler has it compare the
argument with the default in ``thrift_spec``. That is another object than the parameter's default, so it is never
copied, and all structs share it. And where one struct is the default of a field of another one, the ``thrift_spec``
does not exist yet, and the module cannot be imported. So the argument is compared with the parameter's default here.

Stubs that the Thrift compiler wrote alone are repaired when they are used (:mod:`rpc.generated_defaults`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

_CLASSES: Final = re.compile(r"^(?=class (\w+)\()", re.MULTILINE)
_COMPARED: Final = re.compile(r" is self\.thrift_spec\[(-?\d+)\]\[4\]:$", re.MULTILINE)


def compare_parameters(text: str, fields: Mapping[str, Sequence[dict[str, Any]]]) -> str:
    """Return a module's text with the comparisons in its classes repaired.

    :param fields: by the name of the class, in the order of its parameters. Other classes stay as they are.
    """
    before, *classes = _CLASSES.split(text)  # the name of each class, and its text
    repaired = (
        _in_class(code, name, fields.get(name, ())) for name, code in zip(classes[::2], classes[1::2], strict=True)
    )
    return before + "".join(repaired)


def _in_class(code: str, name: str, fields: Sequence[dict[str, Any]]) -> str:
    index = {field["id"]: number for number, field in enumerate(fields)}

    def compare(comparison: re.Match[str]) -> str:
        return f" is {name}.__init__.__defaults__[{index[int(comparison[1])]}]:"

    return _COMPARED.sub(compare, code) if fields else code
