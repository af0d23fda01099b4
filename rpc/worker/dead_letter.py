"""The dead letter of a rejected request. Pure; ``rejector.py`` publishes it."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

import attrs

from rpc.headers import DEAD_REASON, DEAD_SHA256, DEAD_SIZE
from rpc.topology import DeadLetterKind
from rpc.worker.outgoing import dead_letter_properties
from rpc.worker.rejection import Rejection
from rpc.worker.request import Request

HEAD_BYTES: Final = 64 * 1024
"""How much of an invalid request is kept whose caller was told."""

LONGEST_REASON: Final = 1000
"""Characters."""


@attrs.frozen(eq=False)
class DeadLetter:
    """A request as a dead letter."""

    request: Request
    kind: DeadLetterKind
    body: bytes
    _headers: Mapping[str, Any]

    @classmethod
    def of(cls, request: Request, rejection: Rejection) -> DeadLetter:
        """Return the letter of a rejected request.

        It is the only copy of a request whose sender could not be told, and then has the whole body, if the worker
        gathered it. The caller of another one has the error and the request. Of an invalid one only the head is kept:
        it shows the fault.
        """
        body, size = request.delivery.body, request.delivery.size
        headers: dict[str, Any] = {DEAD_REASON: str(rejection)[:LONGEST_REASON]}
        if rejection.kind is DeadLetterKind.INVALID and request.wants_reply and HEAD_BYTES < len(body) == size:
            headers[DEAD_SHA256] = sha256(body).hexdigest()
            body = body[:HEAD_BYTES]
        if len(body) < size:
            headers[DEAD_SIZE] = size
        return cls(request, rejection.kind, body, headers)

    def properties(self, keeps_caller: bool = False, *, with_headers: bool = True) -> bytes:
        """Return the encoded properties: those of the request, with the headers of a dead letter.

        :param keeps_caller: whether the letter names the sender of the request.
        :param with_headers: whether the request's own headers stay.
        :raises CodecError: a header cannot be encoded.
        """
        return dead_letter_properties(self.request, self._headers, with_headers, keeps_caller)
