"""Default values of fields that are lists, sets, maps or structs.

A struct's ``__init__`` copies its default when it was called without the argument. The compiler has it compare the
argument with the default in ``thrift_spec``. That is another object than the parameter's default, so it is never
copied, and all structs share it. And where one struct is the default of a field of another one, the ``thrift_spec``
does not exist yet, and the module cannot be imported. So the argument is compared with the parameter's default here.

Stubs that the Thrift compiler wrote alone are repaired when they are used (:mod:`rpc.generated_defaults`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

_COMPARED: Final = re.compile(r" is self\.thrift_spec\[(-?\d+)\]\[4\]:$", re.MULTILINE)


def compare_parameters(text: str, name: str, fields: Sequence[dict[str, Any]]) -> str:
    """Return a module's text with the comparisons in one class repaired.

    :param name: the name of the class.
    :param fields: of the class, in the order of its parameters.
    """
    found = re.search(rf"^class {name}\(.*?(?=^class |\Z)", text, re.MULTILINE | re.DOTALL)
    if found is None:
        return text
    index = {field["id"]: number for number, field in enumerate(fields)}

    def compare(comparison: re.Match[str]) -> str:
        return f" is {name}.__init__.__defaults__[{index[int(comparison[1])]}]:"

    return text[: found.start()] + _COMPARED.sub(compare, found[0]) + text[found.end() :]
