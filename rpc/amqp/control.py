"""A channel's control methods: sent, answered in order, and failed when the channel ends.

The methods of the specification (``channel.queue_declare(...)``) come from txAMQP, which makes them of the XML. All of
them call :meth:`ControlChannel.invoke`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import txamqp.protocol
from twisted.internet.defer import Deferred, fail, succeed
from txamqp.message import Message

from rpc import log
from rpc.amqp.codec.methods import encode_arguments
from rpc.errors import AMQPError, CodecError, FrameError

if TYPE_CHECKING:
    from txamqp.content import Content as TxContent
    from txamqp.spec import Method

    from rpc.amqp.protocol import AMQPConnection

Result = TypeVar("Result")


class ControlChannel(txamqp.protocol.AMQChannel):
    """The control half of a channel.

    :ivar closed: no method may be sent any more. The number is free later, when both sides have closed the channel.
    :ivar reason: why the channel is closed.
    :ivar on_closed: called once with the reason when the channel ends otherwise than by :meth:`close`.
    """

    client: AMQPConnection

    def __init__(self, id: int, outgoing: Any, client: AMQPConnection) -> None:
        # txAMQP's own __init__ makes the queues of a data plane that is not used here.
        self.id = id
        self.client = client
        self.closed = False
        self.reason: Exception | None = None
        self.on_closed: Callable[[Exception], None] | None = None
        self._answers: deque[tuple[Method, tuple[Any, ...], Deferred[Message]]] = deque()
        self._parting: list[Deferred[None]] = []

    @property
    def unanswered(self) -> int:
        """How many methods were sent whose answer has not come yet."""
        return len(self._answers)

    def invoke(self, method: Method, args: tuple[Any, ...], content: TxContent | None = None) -> Deferred[Any]:
        """Send `method`. Every generated method of the channel ends here.

        :return: fires with the broker's answer, a ``txamqp.message.Message``, or with ``None`` for a method without
            one. Fails with the reason when the channel is closed or gets closed, and with
            :class:`~rpc.errors.CodecError` for an argument that does not fit; then nothing was sent. A cancelled
            method still takes its own answer, so that the next method does not get it.
        """
        if self.closed:
            return fail(self.reason or AMQPError("the channel is closed"))
        if method.content or any(answer.content for answer in method.responses):
            return fail(
                AMQPError(f"{method.klass.name}.{method.name} has a content: use publish() and consume() instead")
            )
        try:
            return self._send(method, args, not method.responses or _is_nowait(method, args))
        except Exception as error:
            return fail(error)

    def _send(self, method: Method, args: tuple[Any, ...], unanswered: bool) -> Deferred[Any]:
        payload = encode_arguments(method, args)
        if len(payload) > self.client.max_body_frame:
            raise CodecError(f"{method.klass.name}.{method.name}: {self._too_large(len(payload))}")
        self.client.send_method(self.id, payload)
        if unanswered:
            return succeed(None)
        answer: Deferred[Message] = Deferred()
        self._answers.append((method, args, answer))
        return answer

    def _too_large(self, size: int) -> str:
        return f"a frame of {size} bytes, over the {self.client.max_body_frame} that the broker takes (frame_max)"

    def answered(self, message: Message) -> None:
        """Fire the Deferred of the method that `message` answers.

        The broker takes the methods of a channel in order (AMQP 0-9-1, section 4.7), but RabbitMQ's basic.consume-ok
        and basic.cancel-ok come from the queue, later than the answer to a method behind it. So the oldest method that
        has this answer is looked for; consumers are told apart by their tags.

        :raises FrameError: 503, no unanswered method has this answer.
        """
        if self.closed and message.method.name != "close-ok":
            return  # AMQP 0-9-1, channel.close: after it, all other methods must be discarded
        for entry in self._answers:
            method, args, answer = entry
            if message.method in method.responses and _is_of_consumer(method, args, message):
                self._answers.remove(entry)
                answer.callback(message)
                return
        raise FrameError(503, f"unexpected {message.method.klass.name}.{message.method.name}")

    # -- the end

    def close(self, reason: object = None) -> Deferred[None]:
        """Close the channel without a call of ``on_closed``.

        :param reason: unused; it is in the signature of txAMQP's method.
        :return: fires when the broker has agreed, or the connection is gone; never fails. Cancelling it ends the wait
            only: the channel's number stays taken until the broker has agreed.
        """
        self.on_closed = None
        return self.abandon(AMQPError("the channel was closed by this client"))

    def abandon(self, reason: Exception) -> Deferred[None]:
        """Close the channel for `reason`, with which its owner is told and all pending methods fail at once.

        :return: as :meth:`close`.
        """
        if not self.closed:
            self.do_close(reason)
            if not self.client.closed:  # the owner that was just told may have closed it
                method = self.client.spec.classes.byname["channel"].methods.byname["close"]
                agreed = self._send(method, (200, "closed by the client", 0, 0), False)
                agreed.addBoth(lambda _: self.client.forget_channel(self))
        if not self.client.has_channel(self):
            return succeed(None)
        parted: Deferred[None] = Deferred()
        self._parting.append(parted)
        return parted

    def mark_closed(self, reason: Exception) -> None:
        """Send nothing from now on. The owner and the pending methods are told by :meth:`do_close`."""
        if not self.closed:
            self.closed = True
            self.reason = reason

    def do_close(self, reason: Exception) -> None:
        """Fail the pending methods with `reason`, and tell the owner, once."""
        self.mark_closed(reason)
        answers, self._answers = self._answers, deque()
        for _, _, answer in answers:
            answer.errback(reason)
        on_closed, self.on_closed = self.on_closed, None
        if on_closed is not None:
            try:
                on_closed(reason)
            except Exception:
                log.err(None, "while telling the owner of a channel that it is closed")

    def parted(self) -> None:
        """Fire the Deferreds of :meth:`close`: both sides have closed the channel, or the connection is gone."""
        parting, self._parting = self._parting, []
        for parted in parting:
            parted.callback(None)


def shielded(answer: Deferred[Result]) -> Deferred[Result]:
    """Return a Deferred that fires as `answer` does, and whose cancellation leaves `answer` alone."""
    shield: Deferred[Result] = Deferred()
    answer.chainDeferred(shield)
    return shield


def _is_of_consumer(method: Method, args: tuple[Any, ...], answer: Message) -> bool:
    """Whether `answer` is about the consumer that `method` is about, if it is about one."""
    field = method.fields.byname.get("consumer-tag")
    if field is None:
        return True
    tag = args[method.fields.index(field)]
    return not tag or bool(tag == answer.consumer_tag)


def _is_nowait(method: Method, args: tuple[Any, ...]) -> bool:
    field = method.fields.byname.get("nowait")
    return field is not None and bool(args[method.fields.index(field)])
