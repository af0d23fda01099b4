"""``docs/reliability.md``: for each fault, the promise and the observation."""

from __future__ import annotations

from tools.faults.peers import CALLS, KILLED_AFTER, LIMIT, RATE, PeerResult
from tools.faults.results import Results, Run, Seen
from tools.faults.scenarios.table import ALL

HEAD = """# Reliability

Faults in real brokers, workers, clients and networks, the promise for each, and the result. `scripts/faults` injects
the faults and writes this page; `scripts/test` runs a short form of each. Workers are `twistd -n rpc-worker`
processes, clients are made by `rpc.connect`, and a TCP proxy breaks the networks. [errors.md](errors.md) explains the
errors.

"""

COUNTED = """
Three counts are taken after each fault: Deferreds that had not fired one second after their deadline (unfired), answers
that reached the wrong caller (wrong), entries left in a table of client or worker (left). A promise is met when it was
kept, all three counts are 0, and no more files and sockets are open than before.
"""


def write(results: Results) -> str:
    """Return the page."""
    kept = [f"{_met(run)} of {len(run.seen)} promises were kept on RabbitMQ {name}" for name, run in _runs(results)]
    parts = [HEAD, *(f"{each}.\n" for each in kept), "\n"]
    head = ("fault", "promise", *(f"RabbitMQ {name}" for name, _ in _runs(results)))
    parts.append(_table(head, [row for scenario in ALL if (row := _row(results, scenario.name))]))
    parts.append(COUNTED)
    if results.peers:
        parts.append(_peers(results))
    parts.append(_circumstances(results))
    return "".join(parts)


def _runs(results: Results) -> list[tuple[str, Run]]:
    """The runs, that on the oldest version first."""
    return sorted(results.runs.items(), key=lambda item: [int(part) for part in item[0].split(".")])


def _met(run: Run) -> int:
    return sum(seen.result.met for seen in run.seen.values())


def _row(results: Results, name: str) -> tuple[str, ...] | None:
    seen = [run.seen.get(name) for _, run in _runs(results)]
    first = next((each.result for each in seen if each is not None), None)
    return None if first is None else (first.fault, first.promise, *map(_observation, seen))


def _observation(seen: Seen | None) -> str:
    if seen is None:
        return "not tried"
    result = seen.result
    left = sum(result.left.values())
    where = f" ({', '.join(result.left)})" if left else ""
    counted = f"unfired {result.unfired}, wrong {result.wrong}, left {left}{where}"
    return f"{'met' if result.met else '**not met**'}: {_cell(result.seen)}; {counted}"


def _peers(results: Results) -> str:
    rows = [_peer(peer) for peer in results.peers.values()]
    head = (
        f"\n## Beside others\n\nThe broker is killed once with `kill -9`, after {KILLED_AFTER} of {CALLS} calls, and "
        f"started again at once. Meanwhile {RATE:.0f} calls begin each second. A call that has not returned "
        f"{LIMIT:.0f} s after the last one began counts as never returned.\n\n"
    )
    return head + _table(("", "answered", "failed", "never returned", "slowest", "the first error"), rows)


def _peer(peer: PeerResult) -> tuple[str, ...]:
    if not peer.calls:
        return (peer.title, "", "", "", "", _cell(peer.problem))
    wrong = f", {peer.wrong} wrong" if peer.wrong else ""
    slowest = f"{peer.slowest:.1f} s"
    return (peer.title, f"{peer.answered}{wrong}", str(peer.failed), str(peer.never), slowest, _cell(peer.problem))


def _circumstances(results: Results) -> str:
    rows: list[tuple[str, ...]] = [("machine", results.machine)]
    for _, run in _runs(results):
        rows.append(("faults on", ", ".join(f"{name} {version}" for name, version in sorted(run.versions.items()))))
        rows += sorted({(f"faults ({seen.form} form)", seen.taken) for seen in run.seen.values()})
    rows += [(f"{peer.title}, with", peer.versions) for peer in results.peers.values()]
    if results.peers_taken:
        rows.append(("beside others", results.peers_taken))
    return "\n## When and on what\n\n" + _table(("", ""), rows)


def _cell(text: str, most: int = 600) -> str:
    """Text that a table's cell can hold."""
    line = " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
    return line if len(line) <= most else f"{line[:most]} …"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
