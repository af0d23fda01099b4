"""Arguments with the names of variables in the generated client, such as ``args``: the variables are renamed.

Our own client does not use these methods, but the IDL is also for users of Thrift's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from rpc.compiler.references import ANCHOR

_CLIENT: Final = re.compile(r"^class Client\(.*?(?=^@implementer)", re.MULTILINE | re.DOTALL)

_LINES: Final = {
    "args": (
        r"^(\s+)args( = \w+_args\(\))$",
        r"^(\s+)args(\.\w+ = \w+)$",
        r"^(\s+)args(\.write\(\w+\))$",
    ),
    "seqid": (
        r"^(\s+)seqid( = self\._seqid = self\._seqid \+ 1)$",
        r"(self\._reqs\[)seqid(\] = \w+\.Deferred\(\))$",
        r"((?:callback|errback)Args=\()seqid(,\))",
    ),
    "oprot": (
        r"^(\s+)oprot( = self\._oprot_factory\.)",
        r"^(\s+)oprot(\.writeMessage(?:Begin|End)\()",
        r"^(\s+)oprot(\.trans\.flush\(\))$",
        r"(args\.write\()oprot(\))$",
    ),
    "defer": (r"( = )defer(\.Deferred\(\))$", r"( = )defer(\.maybeDeferred\()"),
}
"""By the variable: the lines of the client's methods that have it, before and behind it."""

REPAIRED: Final = frozenset(_LINES)
"""Names of variables that arguments may have."""


def repair_arguments(text: str, names: Iterable[str]) -> str:
    """Return the text of a service's module with other names for the variables of its client.

    :param names: the names of all arguments.
    """
    used = REPAIRED.intersection(names)
    found = _CLIENT.search(text)
    if not used or found is None:
        return text
    client = found[0]
    for name in sorted(used):
        for line in _LINES[name]:
            client = re.sub(line, rf"\1_idl_{name}\2", client, flags=re.MULTILINE)
    text = text[: found.start()] + client + text[found.end() :]
    if "defer" in used:
        text = text.replace(ANCHOR, f"{ANCHOR}from twisted.internet import defer as _idl_defer\n", 1)
    return text
