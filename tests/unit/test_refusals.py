"""Which refusals another attempt would only repeat."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc import errors
from rpc.refusals import is_permanent

CASES = (
    (True, errors.AuthenticationFailed(403, "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN")),
    (True, errors.VirtualHostRefused(530, "NOT_ALLOWED - vhost nowhere not found")),
    (True, errors.VirtualHostRefused(530, "NOT_ALLOWED - access to vhost '/' refused for user 'u'")),
    (True, errors.ChannelClosed(403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'")),
    (True, errors.DeclarationRefused(406, "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q'")),
    (True, errors.DeclarationRefused(404, "NOT_FOUND - no queue 'q' in vhost '/'")),
    (False, errors.DeliveryTimedOut(406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out")),
    (False, errors.ChannelClosed(406, "PRECONDITION_FAILED - unknown delivery tag 7")),
    (
        False,
        errors.VirtualHostRefused(530, "access to vhost 'v' refused for user 'u': connection limit (0) is reached"),
    ),
    (False, errors.ConnectionClosed(530, "NOT_ALLOWED - connection refused: node connection limit (1) is reached")),
    (False, errors.ConnectionClosed(541, "INTERNAL_ERROR - access to vhost '/' refused: vhost '/' is down")),
    (False, errors.ConnectionClosed(320, "CONNECTION_FORCED")),
    (False, errors.ChannelClosed(404, "NOT_FOUND")),
    (False, errors.BrokerUnreachable("127.0.0.1:5672: Connection refused")),
    (False, errors.HeartbeatMissed("no heartbeat")),
)


class PermanentTests(SynchronousTestCase):
    """A table of errors."""

    def test_tells_what_lasts_from_what_passes(self) -> None:
        """Logins, virtual hosts, permissions and arguments last; limits, and brokers that are down, pass."""
        for permanent, error in CASES:
            self.assertIs(is_permanent(error), permanent, repr(error))
