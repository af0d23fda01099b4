"""Cases of structs: nested, sparse, recursive, with defaults, of other versions; and of unions."""

from __future__ import annotations

from typing import Any

from tests.cross_test.base_values import BARQUE, KETCH, ROWED, SLOOP, one
from tests.cross_test.containers import IDS, NORTH, SOUTH
from tests.cross_test.values import NOT_RUN, Case, Refused, Returns, Struct, struct

MOORING = struct("Mooring", buoy=-32768, berth=NORTH, sway=0.125)
OTHER_MOORING = struct("Mooring", buoy=9, berth=struct("Berth", quay=""), sway=-1e-9)
CHART = struct(
    "Chart",
    moorings=[MOORING, OTHER_MOORING],
    named={"first": NORTH, "zweite": SOUTH, "": struct("Berth")},
    free={NORTH, SOUTH},
    best=OTHER_MOORING,
)
EMPTY_CHART = struct("Chart", moorings=[], named={}, free=set())

FULL_LOG = struct(
    "Log",
    calm=True, watch=-1, bearing=359, fathoms=-11034, stamp=2**62 + 1, wind=12.5, entry="Nebel, später klar",
    stain=b"\xff\x00ink", rig=BARQUE, tides=[3, -3], crew={"Ada", "Bo"}, stores={"rum": 0}, berth=SOUTH,
)  # fmt: skip
FALSE_LOG = struct(
    "Log",
    calm=False, watch=0, bearing=0, fathoms=0, stamp=0, wind=0.0, entry="", stain=b"", rig=ROWED, tides=[], crew=set(),
    stores={}, berth=struct("Berth"),
)  # fmt: skip

BUOYS = struct(
    "Buoys",
    a=True, b=False, c=-1, d=True, e=False, f="far", g=True, h=2**50, i=False, j=True, k=[True, False], l=True,
)  # fmt: skip
LAST_BUOYS = struct("Buoys", j=False, l=False)

DEFAULTS: dict[str, Any] = {
    "knots": 6,
    "flag": "Grün – frei",
    "lit": True,
    "rig": KETCH,
    "hours": [8, 13],
    "stores": {"rope": 12, "tar": 11034},
    "limit": 90,
    "depth": 11034,
}
OTHER_RULES = struct(
    "Rules",
    knots=0, flag="", lit=False, rig=SLOOP, hours=[], stores={"tar": 4}, limit=-90, draught=2.5, depth=1,
)  # fmt: skip

PASS = struct("Pass", holder="", number=0, berth=struct("Berth"))
FULL_PASS = struct("Pass", holder="Ada", number=-1, berth=NORTH, note="Grüße")

LOADS = {
    "tons": -40, "note": "", "berth": SOUTH, "crates": [b"\x00", b""], "empty": False, "rig": ROWED,
}  # fmt: skip


def load(**field: Any) -> Struct:
    """Return a ``Load`` with one field."""
    return struct("Load", **field)


MANIFESTED = struct(
    "Manifested",
    first=load(empty=True),
    others=[load(**{name: value}) for name, value in LOADS.items()],
    named={"a": load(note="text"), "b": load(tons=1)},
)


def rope(length: int) -> Struct:
    """Return a chain of ropes."""
    made = struct("Rope", knot=length)
    for knot in reversed(range(length)):
        made = struct("Rope", knot=knot, rest=made)
    return made


def pier(depth: int) -> Struct:
    """Return a tree, two arms at each pier."""
    return struct("Pier", name=f"pier {depth}", arms=[pier(depth - 1), pier(depth - 1)] if depth else [])


EBB = struct("Ebb", turn=struct("Flood", mark="a", turn=struct("Ebb", turn=struct("Flood", mark="b"))))

NOTICE = struct("Notice", number=-5, text="low water", kept=2**50)
LATER_NOTICE = struct(
    "LaterNotice",
    number=8, berth=NORTH, moorings=[MOORING, OTHER_MOORING], codes={1: {"x", "y"}, 2: set()}, text="hoch", loud=True,
    level=-0.5, image=b"\xff\xd8", kept="no number any more", load=load(crates=[b"a"]), small=-1, middle=300,
    large=-(2**40),
)  # fmt: skip
SEEN_BY_OLD = struct("Notice", number=8, text="hoch")
SEEN_BY_LATER = struct("LaterNotice", number=-5, text="low water")

SKIPPED = "Thrift for Python decodes a binary that it skips as text"

PASSPORT = struct("Passport", id=IDS[0], stamps=IDS, visas={IDS[3]: "Åland"}, lost={IDS[1], IDS[2]})
BARE_PASSPORT = struct("Passport", id=IDS[2], stamps=[], visas={})


def refused(name: str, method: str, argument: Any) -> Case:
    """Return a case whose argument the client must not send."""
    return Case(f"{method}_{name}", method, (argument,), seen=NOT_RUN, outcome=Refused)


CASES = [
    one("berth", "whole", NORTH, SOUTH),
    one("berth", "without_fields", struct("Berth"), struct("Berth", surveyed=0)),
    one("empty", "struct_without_fields", struct("Nothing"), struct("Nothing")),
    one("mooring", "nested", MOORING, OTHER_MOORING),
    one("mooring", "without_inner", struct("Mooring", buoy=1, sway=2.0), struct("Mooring", berth=SOUTH)),
    one("chart", "nested_in_containers", CHART, EMPTY_CHART),
    one("chart", "back", EMPTY_CHART, CHART),
    one("entry", "all_optional_fields", FULL_LOG, FALSE_LOG),
    one("entry", "false_is_not_unset", FALSE_LOG, struct("Log")),
    one("entry", "no_optional_field", struct("Log"), FULL_LOG),
    *[one("entry", f"only_{name}", struct("Log", **{name: value}), struct("Log", calm=False)) for name, value in
      FULL_LOG.fields],
    one("buoys", "numbers_with_gaps", BUOYS, LAST_BUOYS),
    one("buoys", "largest_number_first", LAST_BUOYS, BUOYS),
    one("rules", "defaults", struct("Rules"), struct("Rules", **DEFAULTS)),
    one("rules", "other_than_defaults", OTHER_RULES, struct("Rules", **{**DEFAULTS, "lit": False, "draught": 0.0})),
    one("admit", "required_fields", PASS, FULL_PASS),
    one("admit", "all_fields", FULL_PASS, PASS),
    refused("required_is_unset", "admit", struct("Pass", holder="Ada", number=1)),
    refused("required_is_unset_too", "admit", struct("Pass", number=1, berth=SOUTH)),
    *[one("load", f"with_{name}", load(**{name: value}), load(note="back")) for name, value in LOADS.items()],
    one("loads", "unions_in_containers", MANIFESTED, struct("Manifested", first=load(tons=0), others=[], named={})),
    refused("of_nothing", "load", load()),
    refused("of_two", "load", load(tons=1, note="two")),
    Case("moor_defaults", "moor", (None, None, None), Returns(0), seen=(4, "bowline", [2, 3])),
    Case("moor_one_default", "moor", (0, None, []), Returns(-1), seen=(0, "bowline", [])),
    one("rope", "one", rope(0), rope(2)),
    one("rope", "long", rope(40), rope(50)),
    one("pier", "tree", pier(4), pier(0)),
    one("pier", "tree_back", pier(0), pier(5)),
    one("ebb", "two_in_each_other", EBB, struct("Ebb")),
    one("passport", "whole", PASSPORT, BARE_PASSPORT, service="Passports"),
    one("passport", "bare", BARE_PASSPORT, PASSPORT, service="Passports"),
    one("post", "one_version", NOTICE, SEEN_BY_OLD),
    Case(
        "later_client_old_service", "post", (LATER_NOTICE,), Returns(NOTICE), (SEEN_BY_OLD,), Returns(SEEN_BY_LATER),
        "OldBoard", "Board", apart=SKIPPED,
    ),
    Case(
        "old_client_later_service", "post", (NOTICE,), Returns(LATER_NOTICE), (SEEN_BY_LATER,), Returns(SEEN_BY_OLD),
        "Board", "OldBoard", apart=SKIPPED,
    ),
]  # fmt: skip
