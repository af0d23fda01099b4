"""From the protocol header to the open virtual host: golden bytes, limits, and servers that are no broker."""

from __future__ import annotations

import warnings

from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from rpc.amqp.codec.spec import load_definition
from rpc.amqp.delegate import Credentials
from rpc.amqp.protocol import AMQPConnection
from rpc.errors import (
    AuthenticationFailed,
    BrokerUnreachable,
    CodecError,
    FrameError,
    VersionRefused,
)
from tests.unit.amqp.peer import (
    HEARTBEAT,
    START,
    Peer,
    method,
    read_frames,
    tune,
)

GOLDEN_START = (
    b"\x01\x00\x00\x00\x00\x00\x34"  # a method on channel 0, 52 bytes
    b"\x00\x0a\x00\x0a\x00\x09"  # connection.start, 0-9
    b"\x00\x00\x00\x15\x07productS\x00\x00\x00\x08RabbitMQ"
    b"\x00\x00\x00\x08PLAIN XY\x00\x00\x00\x05en_US"
    b"\xce"
)
GOLDEN_TUNE = b"\x01\x00\x00\x00\x00\x00\x0c\x00\x0a\x00\x1e\x07\xff\x00\x02\x00\x00\x00\x3c\xce"
GOLDEN_OPEN_OK = b"\x01\x00\x00\x00\x00\x00\x05\x00\x0a\x00\x29\x00\xce"


class HandshakeTests(SynchronousTestCase):
    """From the protocol header to the open virtual host (AMQP 0-9-1, sections 2.2.4 and 4.2.2)."""

    def test_writes_the_handshake_of_the_specification(self) -> None:
        """The handshake is the specification's, byte by byte: header 0-9-1, start-ok, tune-ok, open.

        txAMQP sends ``AMQP 1 1 0 9``, no capabilities, and the broker's own limits.
        """
        peer = Peer(Credentials("user", "päss"), vhost="v/é", channel_max=100, frame_max=4096, heartbeat=12).connect()
        self.assertEqual(peer.transport.value(), b"AMQP\x00\x00\x09\x01")
        peer.transport.clear()
        peer.feed(GOLDEN_START)
        (start_ok,) = peer.written()
        self.assertEqual((start_ok.channel, start_ok.name), (0, "connection.start-ok"))
        properties, mechanism, response, locale = start_ok.args
        self.assertEqual((mechanism, response, locale), ("PLAIN", b"\x00user\x00p\xc3\xa4ss", "en_US"))
        self.assertEqual((properties["product"], properties["connection_name"]), ("thrift-amqp-rpc",) * 2)
        self.assertTrue(properties["version"])
        self.assertEqual(
            properties["capabilities"],
            {
                "publisher_confirms": True,
                "exchange_exchange_bindings": True,
                "basic.nack": True,
                "consumer_cancel_notify": True,
                "connection.blocked": True,
                "authentication_failure_close": True,
            },
        )
        peer.feed(GOLDEN_TUNE)
        self.assertEqual(
            peer.transport.value(),
            b"\x01\x00\x00\x00\x00\x00\x0c\x00\x0a\x00\x1f\x00\x64\x00\x00\x10\x00\x00\x0a\xce"
            b"\x01\x00\x00\x00\x00\x00\x0b\x00\x0a\x00\x28\x04v/\xc3\xa9\x00\x00\xce",
        )
        self.assertIsNone(peer.outcome)
        peer.feed(GOLDEN_OPEN_OK)
        self.assertIs(peer.outcome, peer.connection)

    def test_a_cut_because_of_small_frames_is_explained(self) -> None:
        """RabbitMQ 4.1 and later end the connection without a word, after tune-ok, when frame_max is below 8192."""
        for frame_max, explained in ((4096, True), (8191, True), (8192, False), (131072, False)):
            peer = Peer(frame_max=frame_max).connect()
            peer.feed(START, tune())
            peer.connection.connectionLost(Failure(ConnectionLost()))
            error = peer.outcome.value
            self.assertIsInstance(error, BrokerUnreachable)
            self.assertEqual("8192" in str(error), explained, str(error))
            self.assertEqual(f"this one has {frame_max}" in str(error), explained)

    def test_a_cut_before_the_tuning_has_another_cause(self) -> None:
        """The broker does not know the client's frame_max yet."""
        peer = Peer(frame_max=4096).connect()
        peer.feed(START)
        peer.connection.connectionLost(Failure(ConnectionLost()))
        self.assertNotIn("8192", str(peer.outcome.value))

    def test_reads_the_handshake_in_any_pieces(self) -> None:
        """Whole, byte by byte, split anywhere, or in one chunk with later frames: the handshake is the same."""
        stream = GOLDEN_START + GOLDEN_TUNE + GOLDEN_OPEN_OK
        ways = [[stream], [stream[at : at + 1] for at in range(len(stream))], [stream + HEARTBEAT]]
        ways += [[stream[:at], stream[at:]] for at in range(1, len(stream))]
        for chunks in ways:
            peer = Peer().connect()
            peer.feed(*chunks)
            self.assertIs(peer.outcome, peer.connection)

    def test_uses_nothing_deprecated(self) -> None:
        """A whole connection's life passes where warnings are errors (txAMQP's defer.returnValue fails there)."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            peer = Peer(heartbeat=10).open()
            peer.channel()
            peer.feed(method(1, "channel.close", 404, "NOT_FOUND", 0, 0))
            peer.connection.close()
            peer.feed(method(0, "connection.close-ok"))
            peer.lose()

    def test_logs_in_by_certificate(self) -> None:
        """EXTERNAL sends an empty response: the certificate names the user."""
        peer = Peer(Credentials(mechanism="EXTERNAL")).connect()
        peer.transport.clear()
        peer.feed(START)
        self.assertEqual(peer.written()[0].args[1:3], ("EXTERNAL", b""))

    def test_names_the_mechanisms_that_are_offered(self) -> None:
        """When the broker does not take the mechanism, the error names those it takes."""
        peer = Peer(Credentials(mechanism="EXTERNAL")).connect()
        peer.feed(GOLDEN_START)
        error = peer.outcome.trap(AuthenticationFailed) and peer.outcome.value
        self.assertIn("PLAIN, XY, not by EXTERNAL", str(error))
        self.assertTrue(peer.leaving)

    def test_tune_takes_the_smaller_and_zero_is_no_limit(self) -> None:
        """Of each limit the smaller counts, on either side; 0 is no limit, and a heartbeat of 0 is ours to ask for.
        Five sixths of the heartbeat are agreed on.
        """
        cases = [
            ((2047, 131072, 20), (100, 8192, 10), (100, 8192, 8)),
            ((100, 8192, 10), (2047, 131072, 20), (100, 8192, 8)),
            ((0, 0, 20), (2047, 131072, 60), (2047, 131072, 16)),
            ((2047, 131072, 20), (0, 0, 0), (2047, 131072, 16)),
            ((0, 0, 0), (0, 0, 60), (0, 0, 0)),
        ]
        for ours, theirs, agreed in cases:
            peer = Peer(channel_max=ours[0], frame_max=ours[1], heartbeat=ours[2]).connect()
            peer.transport.clear()
            peer.feed(START, tune(*theirs))
            self.assertEqual(peer.written()[1].args, agreed)
            connection = peer.connection
            self.assertEqual((connection.channel_max, connection.frame_max, connection.heartbeat), agreed)

    def test_sends_any_frame_without_a_limit(self) -> None:
        """With a frame_max of 0 on both sides a large body goes out in one frame (txAMQP breaks on it)."""
        peer = Peer(frame_max=0).open(frame_max=0)
        channel = peer.channel()
        channel.publish("", "q", b"\x00\x00", b"x" * 300_000)
        self.assertEqual([len(written.payload) for written in peer.written()], [10, 14, 300_000])

    def test_refuses_a_frame_max_below_the_smallest(self) -> None:
        """A broker whose frame_max is below 4,096 is refused: no body could be cut to fit."""
        for frame_max in (1, 8, 4095):
            peer = Peer().connect()
            peer.feed(START, tune(frame_max=frame_max))
            self.assertEqual(peer.outcome.value.code, 501)

    def test_refuses_a_large_frame_before_tune(self) -> None:
        """Until limits are agreed on, no frame may be over 8,192 bytes: 501, without waiting for its bytes."""
        for size, reason in ((8184, type(None)), (8185, FrameError)):
            peer = Peer().connect()
            peer.feed(b"\x01\x00\x00" + size.to_bytes(4, "big"))
            self.assertIsInstance(peer.reason, reason)

    def test_refuses_a_second_start_or_tune(self) -> None:
        """Limits are agreed on once: 503, and no heartbeat is left running."""
        for again in (START, tune()):
            peer = Peer(heartbeat=10).open()
            peer.feed(again)
            self.assertEqual(peer.reason.code, 503)
            peer.lose()
            self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_names_a_server_that_does_not_speak_amqp(self) -> None:
        """A peer that speaks HTTP, TLS or another AMQP is recognised at once and in any pieces."""
        strangers = [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "not an AMQP broker"),
            (b"\x15\x03\x01\x00\x02\x02\x46", "wants TLS on this port: write amqps instead of amqp"),
            (b"-ERR\r\n", "not an AMQP broker"),
            (b"AMQP\x03\x01\x00\x00", "another version"),
            (b"AMQP\x00\x00\x09\x01", "another version"),
            (b"AMQP\x00\x00\x09\x01" + START, "another version"),
        ]
        for answer, told in strangers:
            for chunks in ([answer], [answer[at : at + 1] for at in range(len(answer))]):
                peer = Peer().connect()
                peer.feed(*chunks)
                self.assertIn(told, str(peer.outcome.trap(FrameError) and peer.outcome.value))
                self.assertTrue(peer.leaving)

    def test_names_the_version_that_a_broker_does_not_speak(self) -> None:
        """The header is that of the definition; the remedy for 0-8 is named."""
        for version, remedy in (("0-9-1", False), ("0-9", False), ("0-8", True)):
            definition = load_definition(version)
            peer = Peer(definition=definition).connect()
            self.assertEqual(peer.transport.value(), definition.header)
            peer.feed(b"AMQP\x03\x01\x00\x00")
            peer.outcome.trap(VersionRefused)
            self.assertIn(f", not {definition.name}", str(peer.outcome.value))
            self.assertEqual("RabbitMQ 4.0 and later do not speak AMQP 0-8" in str(peer.outcome.value), remedy)

    def test_tells_a_refused_login_from_a_lost_connection(self) -> None:
        """connection.close with 403 before tune is AuthenticationFailed, with the user's name."""
        peer = Peer(Credentials("me")).connect()
        peer.feed(START)
        peer.transport.clear()
        peer.feed(method(0, "connection.close", 403, "ACCESS_REFUSED", 0, 0))
        error = peer.outcome.value
        self.assertIsInstance(error, AuthenticationFailed)
        self.assertIn("'me'", str(error))
        self.assertEqual(peer.names(), ["connection.close-ok"])
        self.assertTrue(peer.leaving)

    def test_fails_when_the_socket_goes_away(self) -> None:
        """A connection that ends within the handshake is BrokerUnreachable."""
        for fed in ([], [START], [START, tune()]):
            peer = Peer(heartbeat=10).connect()
            peer.feed(*fed)
            peer.lose()
            self.assertIsInstance(peer.outcome.value, BrokerUnreachable)
            self.assertEqual(peer.clock.getDelayedCalls(), [])

    def test_ends_when_an_answer_cannot_be_encoded(self) -> None:
        """The connection ends with the reason, instead of waiting for ever."""
        peer = Peer(vhost="v" * 256).connect()
        peer.feed(START, tune())
        self.assertIsInstance(peer.outcome.value, CodecError)
        self.assertTrue(peer.leaving)
        peer = Peer(name="\ud800").connect()
        peer.feed(START)
        self.assertIsInstance(peer.outcome.value, CodecError)
        self.assertTrue(peer.leaving)

    def test_sends_its_name(self) -> None:
        """The connection's name is in the client properties."""
        connection = AMQPConnection(Clock(), Credentials(), name="worker 7")
        connection.makeConnection(StringTransport())
        transport = connection.transport
        assert isinstance(transport, StringTransport)
        transport.clear()
        connection.dataReceived(START)
        self.assertEqual(read_frames(transport.value())[0].args[0]["connection_name"], "worker 7")
