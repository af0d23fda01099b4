"""Results in a file."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.unit.bench.canned import MACHINE, canned
from tools.bench.results import INSTALLATION, Failure, Results, read


class ResultsTests(SynchronousTestCase):
    """From values to JSON and back."""

    def test_results_are_written_and_read_again(self) -> None:
        """With and without records."""
        file = Path(self.mktemp())
        for results in (canned(), Results(MACHINE)):
            results.write(file)
            self.assertEqual(read(file), results)

    def test_each_record_is_a_line(self) -> None:
        """So that two runs can be compared with diff."""
        file = Path(self.mktemp())
        canned().write(file)
        lines = [line.strip().rstrip(",") for line in file.read_text().splitlines()]
        peers = [json.loads(line)["peer"] for line in lines if line.startswith('{"peer": ')]
        self.assertEqual(peers.count("librabbitmq"), 3)

    def test_a_file_without_callers_is_read(self) -> None:
        """Files from before that part existed have no such list."""
        file = Path(self.mktemp())
        Results(MACHINE).write(file)
        older = json.loads(file.read_text())
        del older["callers"]
        file.write_text(json.dumps(older))
        self.assertEqual(read(file), Results(MACHINE))

    def test_failures_of_other_parts_and_other_peers_stay(self) -> None:
        """A run of one part installs only the peers of that part."""

        def failed(peer: str, part: str) -> Failure:
            return Failure(peer, part, "something", "words")

        results = Results(MACHINE)
        nats, nameko = failed("nats_py", INSTALLATION), failed("nameko", "throughput")
        results.failures = [nats, failed("grpc_aio", INSTALLATION), nameko, failed("ours", "callers")]
        now = [failed("aio_pika", INSTALLATION), failed("ours_blocking", "callers"), failed("ours", "growth")]
        results.replace_failures("callers", {"ours", "grpc_aio", "aio_pika"}, now)
        self.assertCountEqual(results.failures, [nats, nameko, *now[:2]])

    def test_a_peer_falls_behind_below_nine_tenths_of_the_rate(self) -> None:
        """Calls in progress at the end do not count as falling behind."""
        ours, aio_pika = canned().latencies
        self.assertEqual((ours.kept_up, aio_pika.kept_up), (True, False))
