"""The cases in which a client or worker that is not ours has other values, and why."""

from __future__ import annotations

import attrs

from rpc.compiler import driver
from rpc.envelope import CODECS
from tests.cross_test.programs import SERVICES
from tests.cross_test.values import Case, Refused


@attrs.frozen
class Limit:
    """A limit of Thrift in another language.

    :ivar peers: those that have it, as in ``node client``.
    :ivar cases: the names of the cases that show it.
    :ivar until: the version of Thrift's compiler that no longer has it.
    """

    reason: str
    peers: tuple[str, ...]
    cases: tuple[str, ...]
    protocols: tuple[str, ...] = tuple(CODECS)
    until: tuple[int, ...] = (1,)


OF_EVERY_COMPILER = {service for services in SERVICES.values() for service in services}
NODE_GATEWAY = ("gateway-node-framed client", "gateway-node-http client")
NODE = ("node client", "node worker", *NODE_GATEWAY)
PYTHON_CLIENTS = ("plain client", "gateway-framed client", "gateway-http client")
ACCELERATED = ("gateway-header client",)
PYTHON = ("plain worker", *PYTHON_CLIENTS, *ACCELERATED)
NO_CHECKS = "the generated code does not check results as our worker does"
NOT_JSON = "Thrift for Python writes inf and nan, which are not JSON"
KEYS = ("hold_keys_of_structs_and_sets", "hold_keys_back", "keyed_keys_of_lists")
STRUCTS_IN_SETS = ("stacks_sets_of_structs_and_containers", "chart_nested_in_containers", "chart_back")
UNNUMBERED = ("unnumbered_fields_without_numbers",)
SKIPPED = "Thrift for Python decodes a binary that it skips as text, but not in the accelerated protocols"

LIMITS = (
    Limit("the keys of a map are text in JavaScript", NODE, KEYS, ("binary", "compact")),
    Limit(NO_CHECKS, ("node worker",), ("middle_result_too_large", "load_result_of_two")),
    Limit("Thrift for Node.js does not read the field -1 in JSON", ("node worker",), UNNUMBERED, ("json",)),
    Limit("Thrift for Node.js raises a missing result as text", NODE_GATEWAY, ("text_no_result", "pilot_no_result")),
    Limit("structs are not hashable in Python", PYTHON, KEYS, ("binary", "compact")),
    Limit("structs are not hashable in Python", PYTHON, STRUCTS_IN_SETS),
    Limit("the accelerated protocols leave fields without a number out", ACCELERATED, UNNUMBERED),
    Limit(NO_CHECKS, ("plain worker",), ("load_result_of_two",)),
    Limit(NO_CHECKS, ("plain worker",), ("admit_result_without_required",), until=(0, 24)),
    Limit(SKIPPED, PYTHON_CLIENTS, ("old_client_later_service",), ("binary", "compact")),
    Limit(SKIPPED, ("plain worker",), ("later_client_old_service",), ("binary", "compact")),
    Limit(NOT_JSON, PYTHON_CLIENTS, ("real_infinite", "real_minus_infinite", "real_not_a_number"), ("json",)),
    Limit(NOT_JSON, ("plain worker",), ("real_infinite", "real_minus_infinite", "real_not_a_number_back"), ("json",)),
)


def differing_cases(peer: str, protocol: str) -> set[str]:
    """Return the names of the cases in which a peer has other values."""
    version = driver.find().version
    return {
        case
        for limit in LIMITS
        if peer in limit.peers and protocol in limit.protocols and version < limit.until
        for case in limit.cases
    }


def plays(peer: str, case: Case) -> bool:
    """Return whether a peer plays a case.

    Only our clients refuse arguments that do not fit. The stubs of other peers are those of the compiler on the search
    path, which may not have the type ``uuid``.
    """
    is_ours = peer in ("asyncio client", "blocking client")
    return is_ours or (case.expected_outcome is not Refused and case.service in OF_EVERY_COMPILER)
