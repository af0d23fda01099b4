"""A stub with values of all types, for the harnesses that need one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rpc.stub import Stub
from tests.stubs import compile_stub

EVERYTHING: Any = compile_stub(
    Path(__file__).parents[1].joinpath("unit", "everything.thrift").read_text("utf-8"), "Everything"
)

METHODS = Stub.of(EVERYTHING).methods


def arguments() -> dict[str, Any]:
    """Return arguments of some methods, by the method's name."""
    types = EVERYTHING.ttypes
    point = types.Point(1, -2)
    either = types.Either(shelf={1: [b"\x00\xff", b""]})
    bad = types.Bad("why é", types.Either(point=point), 2**40)
    everything = types.All(
        True,
        -1,
        300,
        7,
        -(2**50),
        1.5,
        "text é",
        b"\xff\x00",
        types.Colour.BLUE,
        bad,
        "needed",
        [1, 2, 3],
        point,
        False,
    )
    tree = types.Tree(1, [types.Tree(2, [types.Tree(3)])], {"a": types.Tree(4)}, types.Tree(only=types.Tree(5)))
    containers = types.Containers(
        [True, False], {"a"}, {1: 1.0, -1: -0.5}, {point}, [bad], [[{1, -1}], []], {b"k": {True: either}},
        {1.5: b"x"}, [types.Worse("w")], {-1: [0.5]}, {types.Worse("z")}, [everything],
    )  # fmt: skip
    values = {
        "flag": (True,),
        "small": (-128,),
        "long_": (2**63 - 1,),
        "real": (float("-inf"),),
        "text": ("é\0\N{GRINNING FACE}",),
        "data": (bytes(range(256)),),
        "colour": (3,),
        "numbers": ({1, 2, 3},),
        "blobs": ({"k": b"v"},),
        "either": (either,),
        "tree": (tree,),
        "all": (everything,),
        "containers": (containers,),
        "shelf": ([{-3: [b"x"]}],),
        "nothing": (),
        "many": (True, 1, 2, 3, "d", b"e", 0.5),
    }
    return {name: METHODS[name].arguments_class(*given) for name, given in values.items()}
