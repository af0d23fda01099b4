"""Cases of containers: of base types, of each other, and of structs."""

from __future__ import annotations

import uuid

from rpc.frozen import FrozenDict
from tests.cross_test.base_values import BARQUE, HULK, KETCH, ROWED, SLOOP, one
from tests.cross_test.values import NOT_RUN, Case, Refused, Returns, struct

IDS = [uuid.UUID(int=number << 120 | number) for number in (1, 2, 200, 255)]

NORTH = struct("Berth", quay="North", lane=-3, metres=120, surveyed=2**40)
SOUTH = struct("Berth", quay="Süd", lane=0, metres=-1, surveyed=-1)
CARGO = struct("Cargo", holders={KETCH: 7, HULK: -(2**62)}, berths=[NORTH, SOUTH], seal=b"\x00wax\xff", dry=True)
BARE = struct("Cargo", holders={}, berths=[], dry=False)

TAR, ROPE, CORK = (struct("Label", quay=quay, number=number) for quay, number in (("tar", 1), ("rope", -2), ("Ø", 3)))
HOLD = struct(
    "Hold",
    keepers={TAR: "Ada", ROPE: ""},
    shelves={frozenset({1, -128}): [{"left": {TAR, CORK}, "right": set()}, {}], frozenset(): []},
)
EMPTY_HOLD = struct("Hold", keepers={}, shelves={})
STACKS = struct(
    "Stacks",
    stacks={(1, 2), (2, 1), ()},
    labels={TAR, ROPE, CORK},
    pairs={frozenset({"port", "starboard"}), frozenset()},
    lamps={FrozenDict({1: True, 2: False}), FrozenDict()},
)
UNNUMBERED = struct(
    "Unnumbered", depth=-11034, stamp=-(2**40), note="Öl", stain=b"\xff", lane=-3, buoy=-300, tides=[-1, 1]
)
NOT_IN_JSON = ("binary", "compact")

CASES = [
    one("tides", "empty", [], [0]),
    one("tides", "some", [5, -5, 0, 2**31 - 1, -(2**31)], []),
    one("tides", "fourteen", list(range(14)), list(range(-14, 0))),  # the most with a size of four bits in compact
    one("tides", "fifteen", list(range(15)), list(range(16))),
    one("tides", "hundred_and_thirty", list(range(130)), list(range(0, -128, -1))),
    one("tides", "many", list(range(-2000, 2000)), [7] * 5000),
    one("octets", "some", [0, 127, -128], [-1]),
    one("stamps", "some", [-32768, 32767, 300], [2**63 - 1, -(2**63), 2**33]),
    one("lights", "some", [True, False, False, True], [False]),
    one("lights", "one_is_on", [False] * 9 + [True], [True] * 20),
    one("winds", "some", [0.5, -1e300, 5e-324], [-0.0, 1.5]),
    one("lines", "some", ["", "zwei", "drei ⚓", '"'], ["x" * 300, ""]),
    one("crates", "some", [b"", b"\xff\x00", b"abcd"], [b"\x80" * 200, b""]),
    one("convoy", "typedef", [2**40, -7], [0]),
    one("marks", "empty", set(), {0}),
    one("marks", "some", {3, -3, 2**31 - 1}, set()),
    one("marks", "many", set(range(0, 600, 3)), set(range(-20, 20))),
    one("names", "some", {"Ada", "ada", "", "Ærø"}, {"only"}),
    one("signals", "bools_and_doubles", {True, False}, {0.25, -1e9}),
    one("depths", "empty", {}, {1: -1}),
    one("depths", "some", {0: 1, -1: -2, 2**31 - 1: -(2**31)}, {}),
    one("depths", "many", {number: -number for number in range(300)}, {-number: number for number in range(15)}),
    one("labels", "some", {"": "empty", "key": "", "sp ace": "ünï"}, {"a\\b": 'c"d'}),
    one("labels", "large", {"k" * 200: "v" * 20000}, {str(number): "*" * number for number in range(150)}),
    one("lamps", "all", {True: False, False: True}, {False: False}),
    one("levels", "double_keys", {0.5: 7, -1e20: -7, 3.0: 0}, {2**60: -0.5, -1: 1e-7}),
    one("shifts", "small_keys", {-32768: 127, 32767: -128}, {-128: 32767, 127: -32768}),
    one("manifest", "typedef", {"rope": 3, "tjære": -1}, {"tar": 2**30}),
    one("grid", "some", [[1, 2], [], [-3]], [[]]),
    one("grid", "wide", [list(range(20)) for _ in range(20)], []),
    one("layers", "some", [{"low": {1, 2}, "none": set()}, {}], [{"high": {-1}}]),
    one("soundings", "some", 12, {-4: {-4: -4, 4: 0}, 9: {}, 2**31 - 1: {1: 2, 3: 4}}),
    one("soundings", "empty", -12, {}),
    one("berths", "some", [NORTH, SOUTH, NORTH], []),
    one("berths", "of_empty_structs", [struct("Berth")] * 20, [SOUTH]),
    one("survey", "some", CARGO, {7: {KETCH: CARGO, SLOOP: BARE}, -(2**63): {}, 2**50: {ROWED: BARE}}),
    one("survey", "empty", BARE, {}),
    Case(
        "several_arguments",
        "several",
        (-128, 2**31 - 1, -(2**63), {-1: "minus", 300: ""}, BARQUE, 2**45),
        Returns(CARGO),
    ),
    Case("several_other_arguments", "several", (1, 0, 1, {}, ROWED, -1), Returns(BARE)),
    Case(
        "arguments_by_number",
        "scattered",
        ("late", False, ["a", ""], -0.75),
        Returns("order is by number, not by place"),
    ),
    one("stacks", "sets_of_structs_and_containers", STACKS, struct("Stacks", labels={CORK}), service="Holds"),
    one("hold", "keys_of_structs_and_sets", HOLD, EMPTY_HOLD, service="Holds", protocols=NOT_IN_JSON),
    one("hold", "keys_back", EMPTY_HOLD, HOLD, service="Holds", protocols=NOT_IN_JSON),
    one("keyed", "keys_of_lists", {TAR, ROPE}, {("a", ""): TAR, (): CORK}, service="Holds", protocols=NOT_IN_JSON),
    one("unnumbered", "fields_without_numbers", UNNUMBERED, struct("Unnumbered", tides=[0]), service="Holds"),
    one("hold", "empty_maps_with_such_keys", EMPTY_HOLD, EMPTY_HOLD, service="Holds"),
    Case("keys_without_json", "hold", (HOLD,), seen=NOT_RUN, outcome=Refused, service="Holds", protocols=("json",)),
    one("swap", "uuid_keys", IDS, {IDS[0]: IDS[3], IDS[2]: IDS[1]}, service="Passports"),
]
