"""Where the processor time of a call goes, in our client and our worker."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.bench.catalogue import OURS, Peer
from tools.bench.effort import Effort
from tools.bench.results import ProfileSample
from tools.bench.testbed import PEER_TROUBLE, Testbed

LAYERS = {
    "Twisted: reactor and sockets": ("twisted/",),
    "Twisted: Deferreds": ("twisted/internet/defer.py",),
    "Thrift messages: encoding and decoding": ("rpc/envelope.py", "generated/", "thrift/"),
    "AMQP: frames, properties, publishing": ("rpc/amqp/",),
    "calls: correlation, deadlines, serving": ("rpc/",),
    "the measuring itself": ("load", "bench", "sampler"),
}
"""By the beginnings of the files; the longest that fits decides."""

FOLDERS = ("twisted", "thrift", "rpc", "generated", "attr", "zope")


def profile(testbed: Testbed, peers: Sequence[Peer], effort: Effort, say: Callable[[str], None]) -> list[ProfileSample]:
    """Take a profile of each of the loads."""
    found: list[ProfileSample] = []
    for in_flight, calls in effort.profile if OURS in peers else ():
        doing = f"profile with {in_flight:,} in flight"
        try:
            found += _one(testbed, in_flight, calls)
            say(f"  {OURS.title}, {doing}: taken")
        except PEER_TROUBLE as error:
            say(f"  {OURS.title}, {doing}: FAILED: {error}")
            testbed.failed(OURS, doing, error)
    return found


def _one(testbed: Testbed, in_flight: int, calls: int) -> list[ProfileSample]:
    with TemporaryDirectory(prefix="rpc-bench-") as folder:
        files = {process: Path(folder, process) for process in ("client", "worker")}
        with testbed.server(OURS, "--samples", str(files["worker"])) as server:
            options = ("--calls", str(calls), "--in-flight", str(in_flight), "--samples", str(files["client"]))
            run = testbed.run(OURS, server, *options)
        spent = {"client": run.said["cpu_seconds"], "worker": run.server_cpu}
        found = []
        for process, file in files.items():
            seen: Counter[tuple[str, str]] = Counter()
            for path, function, samples in json.loads(file.read_text()):
                seen[shortened(path), function] += samples
            unit = spent[process] / calls * 1e6 / max(1, seen.total())
            found += [
                ProfileSample(process, in_flight, where, function, round(samples * unit, 3))
                for (where, function), samples in seen.most_common()
            ]
        return found


def shortened(path: str) -> str:
    """The path from the distribution's folder on."""
    parts = Path(path).parts
    places = [place for place, part in enumerate(parts) if part in FOLDERS]
    return "/".join(parts[places[-1] :]) if places else parts[-1]


def layer(where: str) -> str:
    """The layer that a file belongs to."""
    fitting = [(len(start), name) for name, starts in LAYERS.items() for start in starts if where.startswith(start)]
    return max(fitting)[1] if fitting else "Python's own"
