"""Cases of all that a call can end with: exceptions, nothing at all, and methods that the service does not have."""

from __future__ import annotations

from thrift.Thrift import TApplicationException

from tests.cross_test.containers import NORTH, SOUTH
from tests.cross_test.structs import FULL_LOG, MOORING, OTHER_MOORING
from tests.cross_test.values import NOT_RUN, ApplicationError, Case, Raises, Refused, Returns, Undeclared, struct

AGROUND = struct("Aground", code=-(2**31), where="Sandbank „Großer Vogelsand“")
COLLISION = struct("Collision", code=7, with_whom=MOORING, damage={"bow": [1, -1], "": []})
BARE_COLLISION = struct("Collision", with_whom=struct("Mooring"))

INTERNAL = Raises(ApplicationError(TApplicationException.INTERNAL_ERROR, "Internal error"))

HALF = "Thrift's generated processor sends half of the reply, and the error behind it"


def unknown(method: str) -> Raises:
    """Return the outcome of a call of a method that the service does not have."""
    return Raises(ApplicationError(TApplicationException.UNKNOWN_METHOD, f"Unknown function {method}"))


def no_result(method: str) -> Raises:
    """Return the outcome of a call whose handler returned nothing, though its method has a result."""
    return Raises(ApplicationError(TApplicationException.MISSING_RESULT, f"{method} failed: unknown result"))


CASES = [
    Case("steer_without_error", "steer", ("north",)),
    Case("steer_declared_error", "steer", ("sandbank",), Raises(AGROUND)),
    Case("steer_error_without_fields", "steer", ("",), Raises(struct("Aground"))),
    Case("steer_error_of_zeros", "steer", ("0",), Raises(struct("Aground", code=0, where=""))),
    Case("steer_undeclared_error", "steer", ("cliff",), Raises(Undeclared), outcome=INTERNAL),
    Case("steer_error_of_another_method", "steer", ("bow",), Raises(COLLISION), outcome=INTERNAL),
    Case(
        "steer_application_error",
        "steer",
        ("no crew",),
        Raises(ApplicationError(TApplicationException.MISSING_RESULT, "Mannschaft fehlt")),
    ),
    Case(
        "pilot_application_error_of_unknown_type", "pilot", ("no", 1), Raises(ApplicationError(4711, "what is that?"))
    ),
    Case("pilot_result", "pilot", ("east", 3), Returns(OTHER_MOORING)),
    Case("pilot_first_error", "pilot", ("south", -1), Raises(AGROUND)),
    Case("pilot_second_error", "pilot", ("west", 2**31 - 1), Raises(COLLISION)),
    Case("pilot_second_error_sparse", "pilot", ("west", 0), Raises(BARE_COLLISION)),
    Case("pilot_undeclared_error", "pilot", ("reef", 4), Raises(Undeclared), outcome=INTERNAL),
    Case("pilot_no_result", "pilot", ("fog", 5), outcome=no_result("pilot")),
    Case("text_no_result", "text", ("and no answer",), outcome=no_result("text")),
    Case("middle_result_too_large", "middle", (1,), Returns(2**31), outcome=INTERNAL, apart=HALF),
    Case("text_result_of_another_type", "text", ("a number comes back",), Returns(12), outcome=INTERNAL, apart=HALF),
    Case("admit_result_without_required", "admit", (struct("Pass", holder="A", number=1, berth=NORTH),),
         Returns(struct("Pass", holder="B")), outcome=INTERNAL, apart=HALF),
    Case("load_result_of_two", "load", (struct("Load", tons=1),), Returns(struct("Load", tons=1, note="2")),
         outcome=INTERNAL, apart="Thrift for Python does not check unions"),
    Case("argument_of_another_type", "text", (12,), seen=NOT_RUN, outcome=Refused),
    Case("oneway", "signal", (-(2**31),)),
    Case("oneway_struct", "report", (FULL_LOG, "Ⅻ")),
    Case("oneway_that_fails", "signal", (0,), Raises(Undeclared), outcome=Returns(None)),
    Case("second_service_same_name", "text", ("ferry",), Returns("of the second service"), service="Ferry"),
    Case("second_service_other_type", "middle", (2**62,), Returns(-(2**62)), service="Ferry"),
    Case("second_service_own_method", "land", (SOUTH,), Returns(NORTH), service="Ferry"),
    Case("methods_of_the_older_service", "middle", (77,), Returns(78), stub="LaterHarbour"),
    Case("extended_service_inherited", "small", (77,), Returns(78), service="LaterHarbour"),
    Case("extended_service_own", "salvage", (5,), Returns(6), service="LaterHarbour"),
    Case("unknown_method", "salvage", (5,), seen=NOT_RUN, outcome=unknown("salvage"), stub="LaterHarbour"),
    Case("unknown_method_of_second_service", "land", (NORTH,), seen=NOT_RUN, outcome=unknown("land"), stub="Ferry"),
    Case("unknown_oneway", "whistle", (5,), seen=NOT_RUN, outcome=Returns(None), stub="LaterHarbour",
         apart="Thrift's generated processor answers it"),
]  # fmt: skip
