"""A worker whose requests were delivered before."""

from __future__ import annotations

from typing import Any

import attrs
from thrift.Thrift import TMessageType

from generated.calculator import Calculator as CalculatorStub
from rpc.context import current_call
from rpc.envelope import CODECS
from rpc.errors import ChannelClosed, ConnectionClosed, HeartbeatMissed
from rpc.messages import Properties
from rpc.worker.republisher import Republisher
from tests.unit.logs import log_lines
from tests.unit.worker.again_case import QUARANTINE_QUEUE, AgainTestCase
from tests.unit.worker.served import OWN, QUARANTINE, SHARED

Calculator: Any = CalculatorStub
BINARY = CODECS["binary"]

ADD = BINARY.encode("add", TMessageType.CALL, 7, Calculator.add_args(1, 2))


class RedeliveryTests(AgainTestCase):
    """Requests that were delivered before."""

    def setUp(self) -> None:
        self.serve(redelivery_limit=3, concurrency=2)

    def test_republishes_a_redelivered_request_with_its_count(self) -> None:
        """The first time to the end of its queue, later to the quarantine.

        The copy has the caller's headers, the count and the remaining time. The original is acked when the broker has
        confirmed the copy.
        """
        quarantine = "rpc.Calculator.quarantine"
        for before, queue in ((0, "rpc.Calculator"), (1, quarantine), (2, quarantine)):
            headers: dict[str, Any] = {"tenant": "a", "CC": ["x"]} | ({"rpc-deliveries": before} if before else {})
            given: dict[str, Any] = {"headers": headers, "expiration": "5000", "user_id": "guest", "message_id": "m"}
            tag = self.request("add", again=True, **given)
            (moved,) = self.wire.take()
            self.assertEqual((moved.exchange, moved.routing_key), ("", queue))
            self.assertEqual(dict(moved.properties.headers or {}), {"tenant": "a", "rpc-deliveries": before + 1})
            expected = Properties(reply_to="amq.gen-replies", correlation_id="c", expiration="5000", message_id="m")
            self.assertEqual(attrs.evolve(moved.properties, headers=None), expected)
            self.assertEqual((self.handler.ran, self.acked(), self.worker.running), ([], [tag], 0))

    def test_rejects_a_request_that_was_delivered_too_often(self) -> None:
        """Its caller gets an exception with the count."""
        tag = self.request("add", QUARANTINE, again=True, headers={"rpc-deliveries": 3})
        reply, letter = self.wire.take()
        self.assertIn("Calculator.add: delivered 4 times", str(self.exception(reply)))
        self.assertEqual((letter.exchange, letter.routing_key), ("rpc.dead", "Calculator"))
        headers = dict(letter.properties.headers or {})
        self.assertIn("delivered 4 times", headers["rpc-dead-reason"])
        self.assertEqual((self.handler.ran, self.acked()), ([], [tag]))

    def test_a_count_that_a_caller_wrote_is_not_believed(self) -> None:
        """Otherwise one lost channel would make an unfinished letter of each of its requests in progress."""
        headers = {"rpc-deliveries": 1000, "tenant": "a"}
        self.wire.deliver(ADD, Properties(headers=headers), "c2", redelivered=True, exchange="rpc")
        (copy,) = self.wire.take()
        self.assertEqual((copy.exchange, copy.routing_key), ("", "rpc.Calculator"))
        self.assertEqual(dict(copy.properties.headers or {}), {"tenant": "a", "rpc-deliveries": 1})

    def test_a_count_of_the_broker_alone_makes_no_unfinished_letter(self) -> None:
        """A classic queue passes on the header that the caller wrote."""
        self.wire.deliver(ADD, Properties(headers={"x-delivery-count": 1000}), "c2", redelivered=True)
        (letter,) = self.wire.take()
        self.assertEqual((letter.exchange, letter.routing_key), ("rpc.dead", "Calculator@unserved"))

    def test_runs_a_republished_request(self) -> None:
        """Its handler sees that the request may have run before."""
        seen: list[Any] = []

        def look() -> int:
            seen.append(current_call())
            return 3

        self.handler.answer = look
        self.request("add", headers={"rpc-deliveries": 1})
        self.assertTrue(seen[0].redelivered)
        self.assertEqual(dict(seen[0].metadata), {})

    def test_begins_a_copy_after_the_ack_of_the_original(self) -> None:
        """Otherwise a request that crashes its worker would be in the queue twice."""
        original = self.request("add", again=True)
        copy = self.request("add", headers={"rpc-deliveries": 1})
        self.wire.clock.pump([0.05] * 3)
        self.assertEqual(self.handler.ran, [])  # the broker has not confirmed it yet
        self.wire.answer()
        self.assertEqual(self.handler.ran, ["add"])
        self.assertEqual((self.acked(), self.worker.running), ([original, copy], 0))

    def test_begins_a_copy_while_other_requests_are_republished(self) -> None:
        """It waits for its own original only: dead letters and copies of others may come without end."""
        self.wire.holds_confirms = True
        self.wire.deliver(b"malformed", Properties(message_id="a"), SHARED)
        self.request("add", again=True, message_id="b")
        self.wire.settle()
        self.request("add", headers={"rpc-deliveries": 1}, message_id="c")
        self.assertEqual(self.handler.ran, ["add"])

    def test_a_full_queue_sends_it_to_quarantine_and_nowhere_is_a_reason_to_wait(self) -> None:
        """It is never run without being counted: a broker that takes no copy is asked again after a second."""
        self.serve(concurrency=2)
        self.wire.refuses_beside = True
        tag = self.request("add", again=True)
        self.assertEqual([moved.routing_key for moved in self.wire.take()], ["rpc.Calculator", QUARANTINE_QUEUE])
        self.assertEqual((self.handler.ran, self.acked()), ([], []))
        self.wire.refuses_beside = False
        self.wire.clock.advance(1.0)
        self.assertEqual([moved.routing_key for moved in self.wire.take()], [QUARANTINE_QUEUE])
        self.assertEqual((self.handler.ran, self.acked()), ([], [tag]))

    def test_neither_acks_nor_runs_a_request_whose_channel_is_lost_while_it_is_republished(self) -> None:
        """The broker delivers it again."""
        republisher = Republisher()
        self.serve(republisher)
        self.request("add", again=True)
        self.wire.close_channel()
        republisher.lost(RuntimeError("gone"))
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))

    def test_does_not_run_a_request_whose_connection_is_lost_while_it_is_republished(self) -> None:
        """The republisher may hear of the loss before the worker's channel does."""
        self.request("add", again=True)
        self.wire.peer.connection.do_close(RuntimeError("gone"))
        self.assertEqual((self.handler.ran, self.worker.running), ([], 0))

    def test_acks_before_requests_that_do_not_begin(self) -> None:
        """A republished, a rejected and a malformed request."""
        self.serve(acknowledge="before", redelivery_limit=3)
        tags = [
            self.request("add", again=True),
            self.request("add", again=True, headers={"rpc-deliveries": 3}),
            self.wire.deliver(b"junk", Properties(), SHARED),
        ]
        self.wire.answer()
        self.assertEqual((self.handler.ran, sorted(self.acked())), ([], tags))

    def test_does_not_decode_the_arguments_of_a_rejected_request(self) -> None:
        """Decoding its arguments may be the cause of the crashes."""
        body = ADD[:-3] + b"junk"
        headers = {"rpc-deliveries": 3}
        self.wire.deliver(body, Properties(reply_to="amq.gen-replies", headers=headers), QUARANTINE, redelivered=True)
        reply, _ = self.wire.take()
        self.assertIn("delivered 4 times", str(self.exception(reply)))

    def test_a_request_that_runs_here_is_joined_and_one_that_never_began_is_run_uncounted(self) -> None:
        """The channel is lost while one request runs and another waits for a slot; both come again."""
        self.serve(redelivery_limit=1, concurrency=1)
        self.request(message_id="running")
        self.request("add", message_id="held")
        self.wire.close_channel()
        self.worker.open()
        tags = [
            self.request(name, message_id=message_id, again=True)
            for name, message_id in (("calculate", "running"), ("add", "held"))
        ]
        self.assertEqual(self.wire.take(), [])
        self.handler.held.pop(0).callback(1)
        self.wire.settle()
        self.assertEqual(len(self.wire.take()), 2)
        self.assertEqual((self.handler.ran, self.acked()), (["calculate 1", "add"], tags))

    def test_a_request_that_never_began_is_excused_once(self) -> None:
        """It begins, the channel is lost, and the reply with it: then it has run here. In another process it counts."""
        self.serve(redelivery_limit=1, concurrency=1)
        self.request(message_id="running")
        self.request("add", message_id="held")
        for _ in range(2):
            self.wire.close_channel()
            self.worker.open()
            self.request("add", message_id="held", again=True)
            self.assertEqual(self.wire.take(), [])
        self.handler.held.pop(0).callback(1)
        self.wire.settle()
        self.assertEqual(self.handler.ran, ["calculate 1", "add"])
        self.serve(redelivery_limit=1, concurrency=1)
        self.request("add", message_id="held", again=True)
        self.assertEqual([moved.routing_key for moved in self.wire.take()], [QUARANTINE_QUEUE])

    def test_calls_that_follow_push_no_run_out_that_finished_without_its_channel(self) -> None:
        """Its copy comes behind them. As many calls are remembered as the prefetch is."""
        self.serve(concurrency=1)
        self.request(message_id="m")
        self.wire.close_channel()
        self.worker.open()
        self.handler.held[0].callback(5)
        for number in range(5):
            self.request("add", message_id=str(number))
        self.wire.take()
        self.request(message_id="m", again=True)
        self.assertEqual(self.handler.ran.count("calculate 1"), 1)
        (reply,) = self.wire.take()
        self.assertEqual((reply.routing_key, reply.properties.message_id), ("amq.gen-replies", "m"))

    def test_nested_calls_push_no_call_out_that_may_come_again(self) -> None:
        """The worker's own queue ends with its channel."""
        self.serve(concurrency=1)
        self.request("add", message_id="m")
        for number in range(5):
            self.request("add", OWN, message_id=str(number))
        self.wire.close_channel()
        self.worker.open()
        self.wire.take()
        self.request("add", message_id="m", again=True)
        self.assertEqual(len(self.handler.ran), 6)
        self.assertEqual([each.routing_key for each in self.wire.take()], ["amq.gen-replies"])

    def test_a_run_that_finished_without_its_channel_is_answered_again(self) -> None:
        """The broker has not taken its ack: the copy is acked, the reply sent again, and no handler begins."""
        self.serve(concurrency=2)
        self.request(message_id="m", correlation_id="first")
        self.request("add", message_id="n", correlation_id="first")
        self.wire.take()
        self.wire.close_channel()
        self.handler.held[0].callback(5)
        self.wire.take()
        self.worker.open()
        self.wire.taken("basic.ack")
        tags = [self.request(name, message_id=each, again=True) for name, each in (("calculate", "m"), ("add", "n"))]
        values = [BINARY.read_header(reply.body)[:2] for reply in self.wire.take()]
        self.assertEqual(values, [("calculate", TMessageType.REPLY), ("add", TMessageType.REPLY)])
        self.assertEqual((self.handler.ran, self.acked()), (["calculate 1", "add"], tags))

    def test_a_copy_that_another_worker_made_joins_the_run_in_progress(self) -> None:
        """The copy has the count in its headers, and is not marked as redelivered."""
        self.serve(concurrency=2)
        self.request(message_id="m")
        self.wire.close_channel()
        self.worker.open()
        tag = self.request(message_id="m", headers={"rpc-deliveries": 1})
        self.handler.held[0].callback(5)
        self.assertEqual((len(self.wire.take()), self.handler.ran, self.acked()), (1, ["calculate 1"], [tag]))

    def test_a_request_whose_copy_was_published_is_only_acked(self) -> None:
        """Its channel was lost before the broker had taken its ack."""
        self.request("add", again=True, message_id="m")
        self.assertEqual(len(self.wire.take()), 1)
        self.wire.close_channel()
        self.worker.open()
        self.wire.taken("basic.ack")
        tag = self.request("add", again=True, message_id="m")
        self.assertEqual((self.wire.take(), self.handler.ran, self.acked()), ([], [], [tag]))

    def test_a_network_failure_counts_like_any_other(self) -> None:
        """Excused deliveries had no bound: a request that blocks the reactor of two workers in turn ran without end."""
        for reason in (ConnectionClosed(0, "cut"), HeartbeatMissed("silence"), ChannelClosed(406, "timed out")):
            self.serve(concurrency=2)
            self.worker.server.lost(reason)
            self.worker.open()
            self.request("add", again=True)
            self.assertEqual(
                ([moved.routing_key for moved in self.wire.take()], self.handler.ran), (["rpc.Calculator"], [])
            )

    def test_runs_every_redelivery_without_a_limit(self) -> None:
        """The count of its deliveries is ignored, until the broker may soon drop it."""
        self.serve(redelivery_limit=None)
        self.request("add", again=True, headers={"x-delivery-count": 9})
        self.assertEqual(self.handler.ran, ["add"])

    def test_replaces_a_request_that_the_broker_may_soon_drop(self) -> None:
        """RabbitMQ 4 drops a message of a quorum queue at its 21st delivery."""
        self.serve(redelivery_limit=None)
        self.request("add", again=True, headers={"x-delivery-count": 10}, message_id="m")
        (copy,) = self.wire.take()
        own = {name: value for name, value in (copy.properties.headers or {}).items() if name.startswith("rpc-")}
        self.assertEqual((copy.routing_key, own), ("rpc.Calculator", {"rpc-deliveries": 0, "rpc-renewals": 1}))
        self.assertEqual((self.handler.ran, self.acked()), ([], [1]))
        self.request("add", headers=own, message_id="m")
        self.assertEqual(self.handler.ran, ["add"])

    def test_replaces_a_copy_as_well(self) -> None:
        """The number of the copy tells it from the message before, whose late redelivery is acked."""
        self.serve(redelivery_limit=None)
        headers: dict[str, Any] = {}
        for number in (1, 2, 3):
            before = {**headers, "x-delivery-count": 10}
            self.request("add", again=True, headers=before, message_id="m")
            (copy,) = self.wire.take()
            headers = {"rpc-deliveries": 0, "rpc-renewals": number}
            self.assertLessEqual(headers.items(), (copy.properties.headers or {}).items())
            self.request("add", again=True, headers=before, message_id="m")
            self.assertEqual(self.wire.take(), [])
        self.assertEqual((self.handler.ran, self.acked()), ([], [*range(1, 7)]))

    def test_replaces_a_request_that_never_began_uncounted(self) -> None:
        """It was held each time when the channel was lost. The copy of one that runs joins the run."""
        self.serve(redelivery_limit=1, concurrency=1)
        self.request(message_id="running")
        self.request("add", message_id="held")
        self.wire.close_channel()
        self.worker.open()
        for name, message_id in (("calculate", "running"), ("add", "held")):
            self.request(name, message_id=message_id, again=True, headers={"x-delivery-count": 10})
        copies = self.wire.take()
        self.assertEqual([copy.routing_key for copy in copies], ["rpc.Calculator"] * 2)
        self.assertEqual([(copy.properties.headers or {})["rpc-deliveries"] for copy in copies], [0, 0])
        self.wire.answer()
        self.request(message_id="running", headers={"rpc-deliveries": 0, "rpc-renewals": 1})
        self.handler.held.pop(0).callback(1)
        self.wire.settle()
        self.assertEqual(self.handler.ran, ["calculate 1"])

    def test_a_copy_that_its_full_queue_refuses_goes_to_quarantine(self) -> None:
        """A requeue would be one more delivery."""
        self.serve(redelivery_limit=None, backlog=1)
        self.wire.refuses_beside = True
        self.request("add", again=True, headers={"x-delivery-count": 10})
        self.assertEqual([copy.routing_key for copy in self.wire.take()], ["rpc.Calculator", QUARANTINE_QUEUE])
        self.assertEqual(self.acked(), [])

    def test_publishes_a_dead_letter_again_after_a_nack(self) -> None:
        """The request is acked when the broker has confirmed its dead letter."""
        self.wire.refuses_beside = True
        tag = self.request("add", QUARANTINE, again=True, headers={"rpc-deliveries": 3})
        self.assertEqual((len(self.wire.take()), self.acked()), (2, []))
        self.wire.refuses_beside = False
        self.wire.clock.advance(1.0)
        (letter,) = self.wire.take()
        self.assertEqual((letter.exchange, self.acked()), ("rpc.dead", [tag]))

    def test_copies_and_dead_letters_that_are_not_published_do_not_flood_the_log(self) -> None:
        """Each is published again every second. The log has one line a second, and how many there were."""
        self.wire.refuses_beside = True
        lines = log_lines(self)
        for number in range(5):
            self.request("add", again=True, message_id=f"copy {number}")
            self.request("add", QUARANTINE, again=True, message_id=str(number), headers={"rpc-deliveries": 3})
        for _ in range(3):
            self.wire.clock.advance(1.0)
            self.wire.answer()
        not_published = [line for line in lines if "not published" in line or "not republished" in line]
        self.assertLessEqual(len(not_published), 4)
        self.assertIn("8 more within 1 s", not_published[1])

    def test_rejects_a_redelivery_whose_headers_fill_a_frame(self) -> None:
        """The count does not fit, so the request becomes a dead letter without its headers."""
        self.request("add", again=True, headers={"a": "x" * 131_020})
        reply, letter = self.wire.take()
        self.assertEqual(letter.exchange, "rpc.dead")
        self.assertIn("delivered 1 times", str(self.exception(reply)))
        self.assertEqual(self.acked(), [1])


class GivenBackTests(AgainTestCase):
    """Requests that are given back while they wait for a slot."""

    def drain_with_one_held(self, **given: Any) -> int:
        """Stop a worker while one request runs and another one waits; return the tag of the latter."""
        self.request(message_id="running")
        tag = self.request("add", message_id="held", **given)
        self.worker.drain(30.0)
        self.wire.settle()
        return tag

    def test_a_copy_has_the_count_of_its_original(self) -> None:
        """Its next worker tells the handler that it may have begun before."""
        self.serve(concurrency=1)
        tag = self.drain_with_one_held(headers={"rpc-deliveries": 1, "tenant": "a"})
        (copy,) = self.wire.take()
        headers = {"rpc-deliveries": 1, "tenant": "a", "rpc-renewals": 1}
        self.assertEqual(dict(copy.properties.headers or {}), headers)
        self.assertEqual(self.acked(), [tag])

    def test_a_copy_that_comes_back_is_not_taken_for_its_original(self) -> None:
        """Its next worker has lost its channel. The original was acked here, and the copy must not be."""
        self.serve(concurrency=1)
        self.drain_with_one_held()
        (copy,) = self.wire.take()
        self.worker.resume()
        self.worker.open()
        self.request("add", message_id="held", again=True, headers=dict(copy.properties.headers or {}))
        self.wire.settle()
        (counted,) = self.wire.take()
        self.assertEqual(counted.properties.message_id, "held")

    def test_a_redelivered_request_is_requeued_without_a_limit(self) -> None:
        """Nothing counts its deliveries, so only the broker's flag says that it may have begun before."""
        self.serve(concurrency=1, redelivery_limit=None)
        tag = self.drain_with_one_held(again=True)
        self.assertEqual((self.wire.take(), self.settled()), ([], [("reject", tag, True)]))
