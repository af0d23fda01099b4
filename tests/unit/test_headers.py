"""Which headers travel on."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.headers import metadata_of


class MetadataTests(SynchronousTestCase):
    """metadata_of."""

    def test_users_headers(self) -> None:
        """What users and their tracing write travels on, with its value."""
        headers = {"tenant": "a", "traceparent": "00-ab-cd-01", "cc": 1, "x-request-id": None, "": [1]}
        self.assertEqual(metadata_of(headers), headers)

    def test_routing(self) -> None:
        """Who calls a worker must not choose where the worker's own requests go: CC and BCC stay behind."""
        self.assertEqual(metadata_of({"CC": ["other.Service"], "BCC": ["another"], "a": 1}), {"a": 1})

    def test_written_about_one_message(self) -> None:
        """What the broker or this framework wrote about one message is not true of another."""
        written = {"x-death": [{}], "x-first-death-queue": "q", "x-delivery-count": 3, "rpc-attempt": 2}
        self.assertEqual(metadata_of(written), {})
