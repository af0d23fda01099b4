"""The headers that nested calls inherit."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from rpc.headers import metadata_of


class MetadataTests(SynchronousTestCase):
    """metadata_of."""

    def test_keeps_headers_of_users_and_tracing(self) -> None:
        """With their values."""
        headers = {"tenant": "a", "traceparent": "00-ab-cd-01", "cc": 1, "x-request-id": None, "": [1]}
        self.assertEqual(metadata_of(headers), headers)

    def test_drops_headers_that_route(self) -> None:
        """A caller must not choose the queues of the worker's own requests: CC and BCC."""
        self.assertEqual(metadata_of({"CC": ["other.Service"], "BCC": ["another"], "a": 1}), {"a": 1})

    def test_drops_headers_about_one_message(self) -> None:
        """The broker or this framework wrote them; they do not apply to another message."""
        written = {"x-death": [{}], "x-first-death-queue": "q", "x-delivery-count": 3, "rpc-attempt": 2}
        self.assertEqual(metadata_of(written), {})
