"""The types beside the stubs: mypy accepts right use and refuses wrong use, and the types match the modules."""

from __future__ import annotations

import ast
import os
import subprocess
import sys

import pytest

from rpc.compiler import install
from tests.unit.compiler.idl_files import IDLTestCase

pytestmark = pytest.mark.slow

_IDL = r"""
namespace py acme.shop
typedef list<Colour> Colours
/** A "colour" with a \ in it, and a quotation mark at its "end" */
enum Colour { RED = 1, /** like grass */ GREEN = 2 }
struct Price { 1: required i32 cents, 2: optional string bytes, 3: binary data, 4: i32 int = 3,
  5: required double rate }
union Either { 1: Price price, 2: Colours colours }
exception TooDear { 1: Price price, 2: map<string, set<i64>> more }
const map<Colour, list<Price>> PRICES = {}
service Base { /** Do nothing. */ oneway void nothing() }
service Shop extends Base {
  Price cheapest(1: Colours colours, 2: bool int) throws (1: TooDear dear),
  list<binary> bytes(1: Either either)
}
service Empty {}
"""

_RIGHT = """
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer
from stubs.acme.shop import Shop, Empty
from stubs.acme.shop.constants import PRICES
from stubs.acme.shop.ttypes import Colour, Either, Price, TooDear

@implementer(Shop.Iface)
class Values:
    def nothing(self) -> None:
        ...
    def cheapest(self, colours: list[int], int: bool) -> Price:
        raise TooDear(price=Price(3, rate=1.0), more={"a": {1}})
    async def bytes(self, either: Either) -> list[bytes]:
        return [b"x"] if either.colours == [Colour.RED] else []

@implementer(Shop.Iface)
class Deferreds:
    def nothing(self) -> Deferred[None]:
        return succeed(None)
    def cheapest(self, colours: list[int], int: bool) -> Deferred[Price]:
        return succeed(Price(cents=1, rate=0.5, data=b""))
    def bytes(self, either: Either) -> list[bytes]:
        return []

@implementer(Empty.Iface)
class Nothing:
    pass

async def use(client: Shop.Client) -> tuple[int, str | None, float]:
    price = await client.cheapest([Colour.RED], True)
    await client.nothing()
    names: dict[int, str] = Colour._VALUES_TO_NAMES
    for prices in PRICES.values():
        price = prices[0]
    chunks: list[bytes] = await client.bytes(Shop.Either(price=price))
    return price.cents + price.int, price.bytes, price.rate

Shop.Processor(Values())
Shop.Processor(Deferreds())
"""

_WRONG = """
from zope.interface import implementer
from stubs.acme.shop import Shop
from stubs.acme.shop.ttypes import Price, TooDear

@implementer(Shop.Iface)
class Wrong:
    def nothing(self) -> None:
        ...
    def cheapest(self, colours: list[int], int: bool) -> str:
        return ""

async def use(client: Shop.Client, dear: TooDear) -> None:
    await client.cheapest(["red"], True)
    await client.cheepest([], True)
    Price(1)
    Price("1", rate=1.0)
    text: str = Price(1, rate=1.0).bytes
    dear.price = None
"""

_BUILTIN_NAMES = """
struct str { 1: string a }
struct property { 1: i32 b, 2: map<string, bool> more }
enum int { A }
enum dict { B }
exception E { 1: string why, 2: str property, 3: bool classmethod, 4: list<i64> more }
const string TEXT = "x"
const map<string, i32> NUMBERS = {}
service V {
  str f(1: property p, 2: list<string> texts) throws (1: E error), bool property(),
  map<string, bool> classmethod()
}
"""

_BUILTIN_USE = """
from stubs.x import V, constants
from stubs.x.ttypes import E, int, property, str

async def use(client: V.Client, error: E) -> None:
    text: str = await client.f(property(1, {"a": True}), ["b"])
    number = constants.NUMBERS[constants.TEXT] + int.A + await client.property()
    texts = {error.why: error.property, text.a: text}
    truths = await client.classmethod()
    print(number, texts, truths["x"], E.read(None).classmethod)
"""


class TypesTests(IDLTestCase):
    """One IDL with the hard cases: names of Python's types as fields, methods and arguments."""

    def mypy(self, program: str, text: str = _IDL) -> list[str]:
        """Check a program with the stubs beside it; returns mypy's errors, also those in the stubs."""
        self.write(x=text)
        install(self.folder / "stubs", self.compiled().files)
        (self.folder / "program.py").write_text(program)
        (self.folder / "mypy.ini").write_text(
            "[mypy]\nplugins = mypy_zope:plugin\nstrict = True\nwarn_unused_configs = False\n"
            "[mypy-thrift.*]\nignore_missing_imports = True\n"
        )
        done = subprocess.run(
            [sys.executable, "-m", "mypy", "--no-error-summary", "--no-incremental", "program.py", "stubs"],
            cwd=self.folder,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        return [line for line in (done.stdout + done.stderr).splitlines() if ": note: " not in line]

    def test_mypy_accepts_right_use_and_finds_each_mistake(self) -> None:
        """Handlers of all three kinds and a client are accepted. Only the mistakes are reported."""
        self.assertEqual(self.mypy(_RIGHT), [])
        complaints = self.mypy(_WRONG)
        mistakes = (
            (7, "missing following 'Iface' interface members: bytes"),
            (10, 'Return type "str"'),
            (14, "List item 0"),
            (15, 'has no attribute "cheepest"'),
            (16, 'Missing named argument "rate"'),
            (17, 'Argument 1 to "Price"'),
            (18, "str | None"),
            (19, 'Property "price"'),
        )
        self.assertEqual(len(complaints), len(mistakes), complaints)
        for complaint, (line, mistake) in zip(complaints, mistakes, strict=True):
            self.assertTrue(complaint.startswith(f"program.py:{line}: error: "), complaint)
            self.assertIn(mistake, complaint)

    def test_idl_types_may_have_the_names_of_python_types(self) -> None:
        """The annotations still mean Python's types, and the stubs import."""
        self.assertEqual(self.mypy(_BUILTIN_USE, _BUILTIN_NAMES), [])
        self.assertEqual(self.run_with_stubs("import stubs.x.V as v; print(v.str(a='b'))"), "str(a='b')")

    def test_hashed_types_are_those_that_arrive(self) -> None:
        """Frozen in sets and in keys, at any depth."""
        text = """
struct P { 1: list<i32> a }
struct A { 1: required set<list<i32>> lists, 2: required map<set<string>, list<i64>> by_set,
  3: required set<map<list<P>, set<P>>> maps, 4: required map<P, list<P>> points }
const map<map<i32, string>, bool> TABLE = {}
service S { set<set<i32>> f(1: set<list<binary>> a) }
"""
        program = """
from rpc import FrozenDict
from stubs.x import S, constants
from stubs.x.ttypes import A, P

async def use(client: S.Client, a: A) -> None:
    lists: set[tuple[int, ...]] = a.lists
    by_set: dict[frozenset[str], list[int]] = a.by_set
    maps: set[FrozenDict[tuple[P, ...], frozenset[P]]] = a.maps
    points: dict[P, list[P]] = a.points
    table: dict[FrozenDict[int, str], bool] = constants.TABLE
    sets: set[frozenset[int]] = await client.f({(b"a", b"b")})
    print(lists, by_set, maps, points, table, sets, FrozenDict({"a": 1})["a"])
"""
        self.assertEqual(self.mypy(program, text), [])

    def test_keeps_doc_comments(self) -> None:
        """As the IDL has them; a method's with its exceptions."""
        self.write(x=_IDL)
        files = self.compiled().files
        ttypes = ast.parse(files["acme/shop/ttypes.pyi"])
        colour = next(node for node in ttypes.body if isinstance(node, ast.ClassDef) and node.name == "Colour")
        self.assertEqual(ast.get_docstring(colour), r'A "colour" with a \ in it, and a quotation mark at its "end"')
        self.assertIn(b'    GREEN: _Final = 2\n    """like grass"""\n', files["acme/shop/ttypes.pyi"])
        self.assertIn(b":raises TooDear: as ``dear`` of the IDL.", files["acme/shop/Shop.pyi"])
        self.assertIn(b"Do nothing.\n\n        Oneway: there is no answer.", files["acme/shop/Base.pyi"])

    def test_classes_and_methods_match_the_modules(self) -> None:
        """Each class and method of a ``.pyi`` is in its module, with the same arguments.

        The types of clients for rpc.aio and rpc.blocking are in no module.
        """
        self.write(x=_IDL)
        program = """
import ast, importlib, inspect, pathlib, stubs
root = pathlib.Path(stubs.__file__).parent
for path in sorted(root.rglob("*.pyi")):
    module = importlib.import_module("stubs." + ".".join(path.relative_to(root).with_suffix("").parts))
    for item in ast.parse(path.read_text()).body:
        if isinstance(item, ast.ClassDef) and item.name not in ("Iface", "AsyncioClient", "BlockingClient"):
            for method in item.body:
                if isinstance(method, ast.FunctionDef) and not method.decorator_list:
                    names = [a.arg for a in method.args.args + method.args.kwonlyargs]
                    there = inspect.signature(getattr(getattr(module, item.name), method.name))
                    assert list(there.parameters) == names, (path, item.name, method.name, names, there)
                    print(method.name)
"""
        self.assertIn("cheapest", self.run_with_stubs(program).split())
