"""The ledger of confirms: every entry is settled once, in any order of the broker's confirms."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.confirms import ConfirmLedger


def ledger_of(count: int) -> ConfirmLedger[str]:
    """A ledger in which m1, m2, ... were published."""
    ledger: ConfirmLedger[str] = ConfirmLedger()
    for number in range(1, count + 1):
        ledger.published(f"m{number}")
    return ledger


class ConfirmLedgerTests(SynchronousTestCase):
    """ConfirmLedger."""

    def test_settles_one_at_a_time_in_any_order(self) -> None:
        """A single confirm settles its own message, once."""
        ledger = ledger_of(3)
        self.assertEqual([ledger.settle(tag, False) for tag in (2, 1, 3, 2)], [["m2"], ["m1"], ["m3"], []])
        self.assertEqual(len(ledger), 0)

    def test_settles_all_up_to_a_number(self) -> None:
        """Multiple settles all entries up to its number that were not settled before, in the order of publishing."""
        ledger = ledger_of(5)
        ledger.settle(2, False)
        self.assertEqual(ledger.settle(4, True), ["m1", "m3", "m4"])
        self.assertEqual(ledger.settle(4, True), [])
        ledger.published("m6")
        self.assertEqual(ledger.settle(0, True), ["m5", "m6"])

    def test_settles_nothing_for_numbers_never_given(self) -> None:
        """A number that was never published settles nothing, and later messages keep their numbers."""
        ledger = ledger_of(1)
        self.assertEqual((ledger.settle(7, False), ledger.settle(0, False)), ([], []))
        self.assertEqual(ledger.settle(2**63, True), ["m1"])
        ledger.published("m2")
        self.assertEqual(ledger.settle(2, False), ["m2"])

    def test_settles_no_forgotten_entry(self) -> None:
        """A forgotten entry is not settled; a skipped message takes a number without an entry."""
        ledger = ledger_of(2)
        ledger.skip()
        self.assertEqual(ledger.published("m4"), 4)
        ledger.forget(1)
        ledger.forget(1)
        self.assertEqual(ledger.settle(3, True), ["m2"])
        self.assertEqual(ledger.settle(4, False), ["m4"])

    def test_costs_by_the_entries_settled(self) -> None:
        """A multiple ack behind ten thousand single ones settles two entries in a few steps of Python's machine."""
        ledger = ledger_of(10002)
        for number in range(1, 10001):
            ledger.settle(number, False)
        steps = 0

        def count(frame: FrameType, event: str, argument: object) -> Any:
            nonlocal steps
            frame.f_trace_opcodes = True
            steps += event == "opcode"
            return count

        before = sys.gettrace()
        sys.settrace(count)
        try:
            settled = ledger.settle(10002, True)
        finally:
            sys.settrace(before)
        self.assertEqual(settled, ["m10001", "m10002"])
        self.assertLess(steps, 200)

    @given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=30), st.integers(0, 20))
    def test_settles_every_entry_once(self, confirms: list[tuple[int, bool]], count: int) -> None:
        """Confirms of any numbers between any publishes settle no entry twice and lose none."""
        ledger = ledger_of(count)
        out = []
        for number, (tag, multiple) in enumerate(confirms, count + 1):
            out += ledger.settle(tag, multiple)
            ledger.published(f"m{number}")
        out += ledger.settle(0, True)
        self.assertEqual(sorted(out), sorted(f"m{number}" for number in range(1, count + len(confirms) + 1)))
