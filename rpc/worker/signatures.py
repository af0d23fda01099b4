"""Verifies the signatures of requests and cancellations, and lets no signature begin twice in this worker.

A replay is a copy that a peer has made of a request, not changed. It is dropped without an answer, because the answer
would reach the caller of the request, and end its call. Only this worker's begins are known here. Deliveries that come
again are no replays: a run in progress is joined, a finished one is answered again (``intake.py``), and one that never
began here has not used its signature. Each attempt of a caller has a signature of its own.
"""

from __future__ import annotations

from typing import Final

from rpc.amqp.codec.properties import split_properties
from rpc.amqp.content import Delivery
from rpc.errors import CodecError
from rpc.keys import Keys
from rpc.log_limit import LogLimit
from rpc.signing import Kind, NotSigned, SignatureError, Signed, verify
from rpc.worker.rejection import Rejection, denied
from rpc.worker.request import Request

MOST_REMEMBERED: Final = 100_000
"""Signatures of a service, some 16 MB. Only holders of a key can fill the table; the oldest are forgotten first."""


class Signatures:
    """The signatures of one service."""

    def __init__(
        self, service: str, keys: Keys, required: bool, replays: LogLimit, most: int = MOST_REMEMBERED
    ) -> None:
        """
        :param required: whether a request without a signature is refused.
        :param replays: writes the replays to the log.
        :param most: signatures that are remembered.
        """
        self._service = service
        self._keys = keys
        self._skew = int(keys.skew * 1000)
        self._required = required
        self._replays = replays
        self._most = most
        self._begun: dict[str, int] = {}  # until when each could be replayed, by MAC

    def check(self, request: Request, now: float) -> Rejection | None:
        """Verify a request that has arrived. Its deadline is at most the one that its signature gives.

        :return: why it is refused, or ``None``.
        """
        delivery = request.delivery
        if delivery.size != len(delivery.body):  # it is cut, and the intake rejects it as too large
            return None
        try:
            signed = verify(self._keys, Kind.REQUEST, self._service, request.parts, delivery.body)
        except NotSigned as error:
            return denied(f"{self._service} takes signed requests only, and {error}") if self._required else None
        except SignatureError as error:
            return denied(str(error))
        request.signed = signed
        wall = self._keys.now()
        problem = self._time_problem(signed, wall)
        if problem is not None:
            return denied(problem, is_signed=True)
        if request.reply_to is not None:  # a peer may have changed the expiration, which is not signed
            bound = now + (signed.until + self._skew - wall) / 1000
            request.deadline = bound if request.deadline is None else min(request.deadline, bound)
        return None

    def begins(self, request: Request) -> bool:
        """Note that a request begins. ``False``: it is a replay, and must not."""
        signed = request.signed
        if signed is None:
            return True
        if self.is_replay(request):
            return False
        if len(self._begun) >= self._most:
            self._make_space()
        self._begun[signed.mac] = signed.until + self._skew
        return True

    def is_replay(self, request: Request) -> bool:
        """Whether the signature of a request has begun here before."""
        if request.signed is None or request.signed.mac not in self._begun:
            return False
        self._replays.note(lambda: f"{self._service}: dropped a request whose signature has begun here before")
        return True

    def forget(self, request: Request) -> None:
        """Note that a request was rejected instead of run."""
        if request.signed is not None:
            self._begun.pop(request.signed.mac, None)

    def is_trusted(self, delivery: Delivery) -> bool:
        """Return whether a cancellation is obeyed."""
        try:
            parts = split_properties(delivery.encoded_properties)
            signed = verify(self._keys, Kind.CANCELLATION, self._service, parts, delivery.body)
        except NotSigned:
            return not self._required
        except (SignatureError, CodecError):
            return False
        return self._time_problem(signed, self._keys.now()) is None

    def _time_problem(self, signed: Signed, wall: int) -> str | None:
        allowed = f"the clocks of both ends may differ by {self._keys.skew:g} s"
        if signed.time - self._skew > wall:
            return f"its signature is {(signed.time - wall) / 1000:.0f} s ahead of the clock here; {allowed}"
        if signed.until + self._skew < wall:
            late = (wall - signed.until) / 1000
            return f"its signature ended {late:.0f} s ago by the clock here; {allowed}"
        return None

    def _make_space(self) -> None:
        """Forget the signatures that cannot be replayed any more, and then the oldest tenth."""
        wall = self._keys.now()
        self._begun = {mac: until for mac, until in self._begun.items() if until >= wall}
        for mac in list(self._begun)[: max(0, len(self._begun) - self._most * 9 // 10)]:
            del self._begun[mac]

    def __len__(self) -> int:
        return len(self._begun)
