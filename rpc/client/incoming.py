"""Messages from the broker that end an attempt: replies, returned requests and confirms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.interfaces import IDelayedCall

from rpc.amqp.channel import Channel
from rpc.amqp.codec.properties import CORRELATION_ID, split_properties
from rpc.amqp.content import Delivery, Returned
from rpc.client.attempts import Attempts
from rpc.client.call import Call
from rpc.client.call_state import IN_PROGRESS
from rpc.client.channel_health import ChannelHealth
from rpc.client.keepalives import Keepalives
from rpc.client.pending_calls import PendingCalls
from rpc.client.replies import find_call, read_headers, refusal
from rpc.client.signed_calls import check_signature
from rpc.errors import AMQPError, CodecError, InvalidReply, Overloaded, ServiceUnavailable
from rpc.headers import ATTEMPT, KEEPALIVE, OUTCOME, WORKER, metadata_of
from rpc.interfaces import IClock
from rpc.log_limit import LogLimit
from rpc.signing import Kind
from rpc.topology import BROADCAST, instance_of

DRAIN_TIMEOUT = 1.0
"""Seconds for the confirms of a channel that is to be replaced."""


class Incoming:
    """Finds the call that a message is for, and settles it or ends its attempt.

    :ivar late_replies: how many replies found no call.
    """

    def __init__(self, pending: PendingCalls, attempts: Attempts, keepalives: Keepalives, clock: IClock) -> None:
        self._pending = pending
        self._attempts = attempts
        self._keepalives = keepalives
        self._clock = clock
        self._health = ChannelHealth()
        self._draining: Channel | None = None
        self._drain_timer: IDelayedCall | None = None
        self._unreadable = LogLimit(clock)
        self.late_replies = 0

    def replied(self, delivery: Delivery) -> None:
        """Take a message of the reply queue."""
        call, encoded = find_call(self._pending, delivery, self._unreadable)
        if call is None or call.operation.oneway:
            self.late_replies += 1
            return
        if delivery.size > call.operation.options.max_message_size:
            self._attempts.fail(call, call.operation.reply_too_large(delivery.size))
            return
        call.reply_size = delivery.size
        if encoded is not None or call.operation.make_reply is not None or call.signatures:
            self._replied_with_headers(call, encoded, delivery)
            return
        try:
            result, error = call.operation.decode(call.seqid, delivery.body)
        except InvalidReply as invalid:
            self._attempts.fail(call, invalid)
        else:
            self._pending.settle(call, result, error)

    def _replied_with_headers(self, call: Call, encoded: bytes | None, delivery: Delivery) -> None:
        """Take a reply with metadata, a refusal or a keepalive."""
        operation = call.operation
        try:
            headers = {} if encoded is None else read_headers(call, encoded)
            if operation.options.keys is not None and not self._is_proved(call, headers, delivery):
                return
            if KEEPALIVE in headers:
                if headers.get(ATTEMPT, 1) == call.attempts:  # else it is of an attempt that has ended
                    instance = headers[KEEPALIVE]
                    self._keepalives.received(call, instance if isinstance(instance, str) else None)
                return
            if OUTCOME in headers:
                # Another worker may run its copy of a broadcast request that one worker rejects.
                if call.state in IN_PROGRESS and operation.options.exchange != BROADCAST:
                    self._attempts.fail(call, refusal(call, headers, delivery))
                return
            if isinstance(headers.get(WORKER), str):
                call.add_worker(headers[WORKER])
            result, error = operation.decode(call.seqid, delivery.body)
        except InvalidReply as invalid:
            self._attempts.fail(call, invalid)
            return
        if error is None:
            metadata = metadata_of(headers)
            call.reply_headers = metadata
            if operation.make_reply is not None:
                result = operation.make_reply(result, metadata)
        self._pending.settle(call, result, error)

    def _is_proved(self, call: Call, headers: Mapping[str, Any], delivery: Delivery) -> bool:
        """Return whether a message has the signature that a client with keys demands; ``False`` for a keepalive without
        it, which is dropped.

        :raises InvalidReply: a reply has none.
        """
        keys = call.operation.options.keys
        assert keys is not None
        kind = Kind.KEEPALIVE if KEEPALIVE in headers else Kind.REPLY
        try:
            check_signature(call, delivery, kind, keys, headers)
        except InvalidReply:
            if kind is Kind.KEEPALIVE:
                return False
            raise
        return True

    def returned(self, returned: Returned) -> None:
        """Take a request that no queue took (``basic.return``)."""
        try:
            call = self._pending.calls.get(split_properties(returned.encoded_properties)[CORRELATION_ID] or b"")
        except CodecError:
            return
        if call is not None and call.state in IN_PROGRESS:
            why = _unreachable(call.operation.service, f"{returned.reply_code} {returned.reply_text}")
            self._attempts.fail(call, ServiceUnavailable(f"{call.operation.label}: {why}"))

    def confirmed(self, delivery_tag: int, multiple: bool, acknowledged: bool) -> None:
        """Take a publisher confirm: an ack or a nack of one request, or with `multiple` of all up to it (RabbitMQ
        documentation, Consumer Acknowledgements and Publisher Confirms).
        """
        health = self._health
        unhealthy = False
        for call in self._pending.ledger.settle(delivery_tag, multiple):
            call.unconfirmed = 0
            if acknowledged:
                if health.watching:
                    health.accepted(call.operation.service)
                if call.operation.oneway:
                    make_reply = call.operation.make_reply
                    self._pending.settle(call, None if make_reply is None else make_reply(None, {}))
            else:
                unhealthy = health.refused(call.operation.service, self._clock.seconds()) or unhealthy
                why = "the service's backlog is full, or its queue is unavailable"
                self._attempts.fail(call, Overloaded(f"{call.operation.label}: the broker refused it: {why}"))
        if unhealthy and self._draining is None:
            self._drain()
        elif self._draining is not None and not len(self._pending.ledger):
            self._end_drain()

    # -- replacing a channel that refuses requests

    def _drain(self) -> None:
        """Publish nothing more on the channel, to replace it when its confirms have come. Not while an accepted call
        on it is pending: its reply comes to the reply queue, which ends with the channel.
        """
        if self._attempts.channel is None or self._has_accepted():
            return
        self._draining = self._attempts.channel
        self._attempts.suspend()
        self._drain_timer = self._clock.callLater(DRAIN_TIMEOUT, self._end_drain)
        if not len(self._pending.ledger):
            self._end_drain()

    def _has_accepted(self) -> bool:
        return any(call.state in IN_PROGRESS and not call.unconfirmed for call in self._pending.calls.values())

    def _end_drain(self) -> None:
        channel = self._draining
        self._stop_draining()
        if channel is None:
            return
        if self._has_accepted():
            self._attempts.resume(channel)
            return
        self._health.replaced()
        channel.abandon(AMQPError("the broker refuses all requests to a service on the channel"))

    def channel_lost(self) -> None:
        """The channel is gone."""
        self._stop_draining()
        self._health.begin()

    def open(self) -> None:
        """Take messages again."""
        self._unreadable.resume()

    def close(self) -> None:
        """Take no more messages, and leave no timer."""
        self.channel_lost()
        self._unreadable.stop()

    def _stop_draining(self) -> None:
        self._draining = None
        if self._drain_timer is not None and self._drain_timer.active():
            self._drain_timer.cancel()
        self._drain_timer = None


def _unreachable(service: str, answer: str) -> str:
    """Return why no queue takes requests for a service, or for one worker, as far as the broker's answer tells."""
    if instance_of(service) is None:
        return (
            f"no worker has ever served {service!r} here, or its queue was deleted ({answer}); start one, or correct "
            "the name"
        )
    return (
        f"the worker {service!r} is not here ({answer}): it has ended or is stopping, or no worker ever had this name; "
        "name another one, or the service alone"
    )
