"""The calculator: its arithmetic, and its answers over a broker."""

from __future__ import annotations

import attrs
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from generated.calculator import Calculator
from generated.calculator.constants import INT32CONSTANT
from generated.calculator.ttypes import InvalidOperation, Numbers, Operation, Work
from generated.shared.ttypes import SharedStruct
from services import calculator
from services.calculator import CalculatorHandler
from tests.services.support import ServiceTestCase

LARGEST = 2**31 - 1
SMALLEST = -(2**31)
i32 = st.integers(SMALLEST, LARGEST)


class CalculatorHandlerTests(SynchronousTestCase):
    """The handler by itself: plain calls of plain methods."""

    def setUp(self) -> None:
        self.handler = CalculatorHandler()

    def refusal(self, op: int, num1: int, num2: int | None) -> InvalidOperation:
        """The exception of an operation that cannot be done."""
        refusal: InvalidOperation = self.assertRaises(InvalidOperation, self.handler.calculate, 1, Work(num1, num2, op))
        return refusal

    def test_adds_subtracts_multiplies_and_divides(self) -> None:
        """Addition, subtraction, multiplication and division."""
        results = [
            self.handler.calculate(1, Work(7, 3, op))
            for op in (Operation.ADD, Operation.SUBTRACT, Operation.MULTIPLY, Operation.DIVIDE)
        ]
        self.assertEqual(results, [10, 4, 21, 2])

    def test_rounds_a_quotient_towards_zero(self) -> None:
        """The quotient of numbers of different signs is rounded as other languages round it."""
        divide = Operation.DIVIDE
        self.assertEqual(self.handler.calculate(1, Work(-7, 2, divide)), -3)
        self.assertEqual(self.handler.calculate(1, Work(7, -2, divide)), -3)
        self.assertEqual(self.handler.calculate(1, Work(-7, -2, divide)), 3)

    def test_rejects_a_division_by_zero(self) -> None:
        """Nothing is divided by 0, and the exception names the operation."""
        refusal = self.refusal(Operation.DIVIDE, 1, 0)
        self.assertEqual((refusal.whatOp, refusal.why), (Operation.DIVIDE, "division by 0"))

    def test_rejects_an_unknown_operation(self) -> None:
        """An operation of a newer IDL is refused with the ones there are."""
        refusal = self.refusal(9, 1, 2)
        self.assertEqual(refusal.whatOp, 9)
        self.assertIn("DIVIDE (4)", refusal.why or "")

    def test_rejects_a_missing_operand(self) -> None:
        """A field that the caller left unset is named."""
        self.assertEqual(self.refusal(Operation.ADD, 1, None).why, "num2 is missing")

    def test_results_fit_their_type(self) -> None:
        """A result that 32 bits cannot hold is an exception, not another number."""
        self.assertEqual(self.handler.add(LARGEST, 0), LARGEST)
        self.assertEqual(self.handler.add(SMALLEST, 0), SMALLEST)
        self.assertRaises(InvalidOperation, self.handler.add, LARGEST, 1)
        self.refusal(Operation.DIVIDE, SMALLEST, -1)
        self.assertRaises(InvalidOperation, self.handler.sum, Numbers([2**63 - 1, 1]))

    @given(i32, i32.filter(bool))
    def test_quotient_and_product_agree(self, dividend: int, divisor: int) -> None:
        """The quotient times the divisor is the dividend, but for a rest smaller than the divisor."""
        if (dividend, divisor) == (SMALLEST, -1):
            return
        quotient = self.handler.calculate(1, Work(dividend, divisor, Operation.DIVIDE))
        self.assertLess(abs(dividend) - abs(quotient * divisor), abs(divisor))
        self.assertLessEqual(abs(quotient * divisor), abs(dividend))

    def test_returns_the_result_that_was_noted(self) -> None:
        """The last result under a log id is found; nothing noted is the empty string."""
        self.handler.calculate(5, Work(1, 2))
        self.handler.calculate(5, Work(3, 4))
        self.assertEqual(self.handler.getStruct(5), SharedStruct(5, "7"))
        self.assertEqual(self.handler.getStruct(6), SharedStruct(6, ""))

    def test_forgets_the_oldest_notes(self) -> None:
        """However many log ids are used, the oldest are forgotten."""
        self.patch(calculator, "NOTED", 2)
        for logid in (1, 2, 1, 3):
            self.handler.calculate(logid, Work(logid, 0))
        self.assertEqual([self.handler.getStruct(logid).value for logid in (1, 2, 3)], ["1", "", "3"])

    def test_adds_a_list_of_numbers(self) -> None:
        """Numbers are added up in 64 bits; none make 0."""
        self.assertEqual(self.handler.sum(Numbers([])), 0)
        self.assertEqual(self.handler.sum(Numbers([2**40, -1])), 2**40 - 1)


class CalculatorServiceTests(ServiceTestCase):
    """The service as its module offers it, through a broker."""

    async def test_answers_every_method_over_a_broker(self) -> None:
        """Every method answers over the wire as it does in the process."""
        name = self.unique("Calculator")
        self.serve(attrs.evolve(calculator.service, name=name))
        client = await self.client(Calculator, "ping", name=name)
        self.assertEqual(await client.add(INT32CONSTANT, -1), INT32CONSTANT - 1)
        self.assertEqual(await client.calculate(1, Work(6, 7, Operation.MULTIPLY)), 42)
        self.assertEqual(await client.getStruct(1), SharedStruct(1, "42"))
        self.assertEqual(await client.sum(Numbers([1, 2, 3])), 6)
        self.assertEqual(await client.echo(Work(num2=2, comment="é")), Work(0, 2, Operation.ADD, "é"))
        self.assertEqual(await client.blob(bytes(range(256))), bytes(range(256)))
        self.assertIsNone(await client.zip())
        with self.assertRaises(InvalidOperation) as caught:
            await client.calculate(1, Work(1, 0, Operation.DIVIDE))
        self.assertEqual(caught.exception.why, "division by 0")
