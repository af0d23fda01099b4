"""Which refusals another attempt would only repeat.

The texts are those of RabbitMQ. ``tests/integration/test_refusals.py`` and ``tests/faults/test_refusals.py`` provoke
them.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc import errors
from rpc.amqp.reasons import Phase, channel_closed, connection_closed
from rpc.refusals import is_permanent

EXCHANGE_DECLARE, QUEUE_DECLARE, QUEUE_BIND, CONSUME = (40, 10), (50, 10), (50, 20), (60, 20)

CONNECTIONS = (
    (True, Phase.LOGIN, 403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN", "/"),
    (True, Phase.ENTERING, 530, "NOT_ALLOWED - vhost nowhere not found", "nowhere"),
    (True, Phase.ENTERING, 530, "NOT_ALLOWED - vhost limits not found", "limits"),
    (True, Phase.ENTERING, 530, "NOT_ALLOWED - access to vhost '/' refused for user 'u'", "/"),
    (True, Phase.ENTERING, 530, "NOT_ALLOWED - access to vhost 'limited' refused for user 'rate-limiter'", "limited"),
    (
        True,
        Phase.ENTERING,
        530,
        "NOT_ALLOWED - vhost connection limit (0) is reached not found",
        "connection limit (0) is reached",
    ),
    (
        False,
        Phase.ENTERING,
        530,
        "NOT_ALLOWED - access to vhost 'v' refused for user 'u': connection limit (0) is reached",
        "v",
    ),
    (
        False,
        Phase.ENTERING,
        530,
        "NOT_ALLOWED - connection refused for user 'u': user connection limit (1) is reached",
        "v",
    ),
    (False, Phase.ENTERING, 530, "NOT_ALLOWED - connection refused: node connection limit (1) is reached", "v (2)"),
    (False, Phase.ENTERING, 541, "INTERNAL_ERROR - access to vhost '/' refused: vhost '/' is down", "/"),
    (False, Phase.OPEN, 320, "CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'", "/"),
)

CHANNELS = (
    (True, 403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'", QUEUE_DECLARE),
    (True, 403, "ACCESS_REFUSED - access to queue 'in exclusive use' in vhost '/' refused for user 'u'", CONSUME),
    (False, 403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use", CONSUME),
    (True, 404, "NOT_FOUND - no queue 'q' in vhost '/'", QUEUE_DECLARE),
    (True, 404, "NOT_FOUND - no exchange 'x' in vhost '/'", EXCHANGE_DECLARE),
    (
        False,
        404,
        "NOT_FOUND - home node 'rabbit@b' of durable queue 'q' in vhost '/' is down or inaccessible",
        QUEUE_DECLARE,
    ),
    (
        False,
        404,
        "NOT_FOUND - home node 'rabbit@b' of durable queue ' - no queue 'q'' in vhost '/' is down or inaccessible",
        QUEUE_DECLARE,
    ),
    (
        False,
        404,
        "NOT_FOUND - failed to perform operation on queue 'q' in vhost '/' due to timeout",
        QUEUE_DECLARE,
    ),
    (False, 404, "NOT_FOUND - no queue 'q' in vhost '/'", CONSUME),
    (False, 405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost '/'", QUEUE_DECLARE),
    (True, 406, "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/'", QUEUE_DECLARE),
    (True, 406, "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/'", EXCHANGE_DECLARE),
    (
        True,
        406,
        "PRECONDITION_FAILED - inequivalent arg 'durable' for queue ' limit (1) is reached' in vhost '/'",
        QUEUE_DECLARE,
    ),
    (
        False,
        406,
        "PRECONDITION_FAILED - cannot declare queue 'q': queue limit in vhost 'v' (1) is reached",
        QUEUE_DECLARE,
    ),
    (False, 406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", (0, 0)),
    (False, 406, "PRECONDITION_FAILED - unknown delivery tag 7", (60, 80)),
)

OTHERS = (errors.BrokerUnreachable("127.0.0.1:5672: Connection refused"), errors.HeartbeatMissed("no heartbeat"))


class PermanentTests(SynchronousTestCase):
    """Tables of the broker's answers."""

    def test_tells_refused_connections_that_last_from_those_that_pass(self) -> None:
        """Logins and virtual hosts last; limits, and brokers that are down, pass."""
        for permanent, phase, code, text, vhost in CONNECTIONS:
            error = connection_closed(phase, code, text, "u", vhost)
            self.assertIs(is_permanent(error), permanent, repr(error))

    def test_tells_closed_channels_that_last_from_those_that_pass(self) -> None:
        """Permissions, arguments, and queues of operators that are missing last."""
        for permanent, code, text, method in CHANNELS:
            error = channel_closed(code, text, method)
            self.assertIs(is_permanent(error), permanent, repr(error))

    def test_another_version_of_amqp_lasts(self) -> None:
        """As long as the option spec names it. Bytes that are no AMQP at all may come from a broker that starts."""
        self.assertIs(is_permanent(errors.VersionRefused(501, "another version")), True)
        self.assertIs(is_permanent(errors.FrameError(501, "no AMQP")), False)

    def test_an_error_without_an_answer_of_the_broker_passes(self) -> None:
        """The broker has refused nothing."""
        for error in OTHERS:
            self.assertIs(is_permanent(error), False, repr(error))
