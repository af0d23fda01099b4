"""The results as a page: ``docs/performance.md``. Pure: values in, text out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from tools.bench.catalogue import BY_NAME, CALLERS, OURS, PEERS, PY_AMQP, Peer
from tools.bench.figures import Spread, ratios, round_number
from tools.bench.goals import Verdict, judge, judge_callers, judge_growth
from tools.bench.growth import DAY, GROWTHS
from tools.bench.profiles import LAYERS, layer
from tools.bench.results import GrowthSample, JamSample, LatencySample, Results, Sample

NONE = "–"
BEHIND = "falls behind"
CPU_IN_FLIGHT = 100
MOST_FUNCTIONS = 24

Spent = dict[tuple[str, int], float]
"""Microseconds by process and calls in flight."""

INTRODUCTION = """\
# Performance

The speed of this project beside other libraries. `scripts/bench` writes this page; do not edit it. The figures are in
[performance.json](performance.json), and `scripts/bench --report-only` writes the page from them again.

Each library has its own environment. All use the same private broker, and run one after another, in several rounds. A
value is the median over the rounds, with the least and the most in parentheses. Broker, server and client share one
machine. The work is `add(i32, i32)`, and every answer is checked. All servers have a prefetch of 1,000 (nameko 100,
one for each of its workers).

This project runs as users run it: the worker is `twistd -n rpc-worker`, the client is made by `rpc.connect`. Every
call has a deadline, a correlation id, the mandatory flag, and an ack after the reply. Most of the others have none of
these."""

THROUGHPUT = """\
## Calls a second

The columns are calls in flight. When a call is answered, the next one begins."""

CALLING = """\
## Ways to call

Calls a second from Twisted, from asyncio, from threads, and through the gateway. They are measured side by side in one
part of a run; the end of this page has its time and commit. So compare these rates with each other only. The columns
are calls in flight.

A program with threads has a thread for each call in flight. The threads share one connection of `rpc.blocking`, and one
channel of grpc. kombu's connections are not for several threads, so each thread has its own. The gateway is
`twistd -n rpc-gateway`, called by Thrift's own TTwisted client over one connection. aio-pika runs on uvloop."""

WHERE = """\
## When and on what

Each part of this page can be of another run, as the times and commits tell. The machine and the versions are those of
the last run."""

CPU = """\
## Processor time of a call

Microseconds, with {in_flight} calls in flight. Connecting and closing are not included."""

LATENCY = """\
## Latency

Calls begin at a fixed rate, also when answers are late. A latency counts from the time at which the call was due to
begin. Milliseconds: half of the calls are answered within the first figure, 99 of 100 within the second. A library that
falls behind is not measured at higher rates. Below about a millisecond, the reactors' timers limit the measurement."""

GROWTH = """\
## How the cost grows

With 1,000 calls in flight, unless the row says otherwise (8 with large replies). A ratio is the cost at the last point
divided by the cost at the first."""

PROFILE = """\
## Where the processor time of a call goes

Microseconds in our client and our worker, from one sample for every millisecond of processor time. A system call counts
for the function that makes it. The second table has the functions that take most."""

JAM = """\
## The traffic jam

One process sends {messages} messages. py-amqp, used as its documentation says, sends one and waits for its answer
before the next. This project sends without waiting and reads answers as they arrive. So the comparison is one call at
a time against pipelined calls. In the first row each message is a call with a reply. In the second row it is
published durably and confirmed by the broker (with this project, a `oneway` call)."""


def write(results: Results, notes: str = "") -> str:
    """Return the page.

    :param notes: written by hand, put before the facts about the machine.
    """
    sections = [INTRODUCTION, *_goals(results), *_throughput(results), *_cpu(results), *_latency(results)]
    sections += [*_callers(results), *_growth(results), *_jam(results), *_profile(results)]
    if notes.strip():
        sections.append(notes.strip())
    sections += _failures(results)
    return "\n\n".join([*sections, *_where(results)]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown; all columns but the first are numbers."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def told(spread: Spread | None, factor: float = 1, unit: str = "") -> str:
    """The median, and when there were several values, the least and the most."""
    if spread is None:
        return NONE
    middle, least, most = (round_number(value * factor) for value in (spread.median, spread.least, spread.most))
    return f"{middle}{unit}" if spread.count == 1 else f"{middle}{unit} ({least}–{most})"


def _goals(results: Results) -> list[str]:
    head = ("ours beside", "in flight", "goal", "seen", "")
    rows = [_verdict(each) for each in judge(results)]
    text = "Ratios of rates, taken round by round."
    return [f"## Goals\n\n{text}", table(head, rows)]


def _verdict(verdict: Verdict) -> tuple[str, ...]:
    word = "not measured" if verdict.met is None else "met" if verdict.met else "**not met**"
    unit = " KiB" if verdict.bound.endswith("KiB") else " ×"
    remark = f" ({verdict.remark})" if verdict.remark and verdict.seen is not None else ""
    return verdict.subject + remark, verdict.at, verdict.bound, told(verdict.seen, unit=unit), word


def _throughput(results: Results) -> list[str]:
    if not results.samples:
        return []
    picture = "![Calls a second against calls in flight](charts/throughput.svg)"
    return [THROUGHPUT, picture, _rates(results.samples, PEERS)]


def _rates(samples: Sequence[Sample], peers: Iterable[Peer]) -> str:
    columns = sorted({sample.in_flight for sample in samples})
    rows = []
    for peer in peers:
        measured = [_of(samples, peer.name, each) for each in columns]
        if any(measured):
            rates = [told(Spread.of(sample.rate for sample in cell)) for cell in measured]
            rows.append((peer.title, peer.carrier, *rates))
    return table(("", "through", *(f"{each:,}" for each in columns)), rows)


def _of(samples: Iterable[Sample], peer: str, in_flight: int) -> list[Sample]:
    return [each for each in samples if (each.peer, each.in_flight) == (peer, in_flight)]


def _callers(results: Results) -> list[str]:
    if not results.callers:
        return []
    verdicts = table(("ours", "in flight", "goal", "seen", ""), [_verdict(each) for each in judge_callers(results)])
    return [CALLING, _rates(results.callers, CALLERS), verdicts]


def _cpu(results: Results) -> list[str]:
    rows = []
    for peer in PEERS:
        samples = _of(results.samples, peer.name, CPU_IN_FLIGHT)
        if samples:
            rows.append((peer.title, *(told(each) for each in cpu_per_call(samples).values())))
    if not rows:
        return []
    picture = "![Processor time of a call](charts/cpu.svg)"
    return [CPU.format(in_flight=CPU_IN_FLIGHT), picture, table(("", "client", "server", "broker"), rows)]


def cpu_per_call(samples: Sequence[Sample]) -> dict[str, Spread | None]:
    """Microseconds that a call takes of the client, the server and the broker."""

    def spread(seconds: Iterable[tuple[float | None, int]]) -> Spread | None:
        return Spread.of(each / calls * 1e6 for each, calls in seconds if each is not None)

    return {
        "client": spread((sample.client_cpu, sample.calls) for sample in samples),
        "server": spread((sample.server_cpu, sample.calls) for sample in samples),
        "broker": spread((sample.broker_cpu, sample.calls) for sample in samples),
    }


def _latency(results: Results) -> list[str]:
    rates = sorted({sample.rate for sample in results.latencies})
    if not rates:
        return []
    rows = []
    for peer in PEERS:
        of_peer = [sample for sample in results.latencies if sample.peer == peer.name]
        if of_peer:
            cells = [_latency_cell([sample for sample in of_peer if sample.rate == rate]) for rate in rates]
            rows.append((peer.title, *cells))
    picture = "![Latency against calls a second](charts/latency.svg)"
    return [LATENCY, picture, table(("calls/s", *(f"{rate:,}" for rate in rates)), rows)]


def _latency_cell(samples: Sequence[LatencySample]) -> str:
    if not samples:
        return NONE
    if sum(sample.kept_up for sample in samples) * 2 <= len(samples):
        return BEHIND
    middle, worst = (Spread.of(sample.percentiles[each] * 1000 for sample in samples) for each in ("50", "99"))
    return " / ".join(round_number(spread.median) for spread in (middle, worst) if spread is not None)


def _growth(results: Results) -> list[str]:
    if not results.growth:
        return []
    verdicts = [_verdict(each) for each in judge_growth(results)]
    parts = [GROWTH, table(("growing", "from → to", "goal", "seen", ""), verdicts)]
    parts.append("![How the cost of a call grows](charts/growth.svg)")
    rows = []
    for what, kind in GROWTHS.items():
        for peer in kind.peers:
            points = _growth_points(results.growth, what, peer.name)
            name = kind.title if peer is OURS else f"{kind.title}: {peer.title}"
            rows += [(name, f"{at:,}", told(spread), kind.unit) for at, spread in points.items()]
    for what, process in DAY.items():
        points = _growth_points(results.growth, what, OURS.name)
        ends = {at: points[at] for at in {min(points, default=0), max(points, default=0)} if at in points}
        for at, spread in sorted(ends.items()):
            rows.append((f"calls made: memory of the {process}", f"{at:,}", told(spread, 1 / 2**20), "MiB"))
    return [*parts, table(("", "at", "value", ""), rows)]


def _growth_points(samples: Iterable[GrowthSample], what: str, peer: str) -> dict[int, Spread | None]:
    mine = [sample for sample in samples if (sample.what, sample.peer) == (what, peer)]
    return {
        at: Spread.of(sample.value for sample in mine if sample.at == at) for at in sorted({each.at for each in mine})
    }


def _jam(results: Results) -> list[str]:
    if not results.jam:
        return []
    rows = []
    for what in sorted({sample.what for sample in results.jam}):
        times = {peer: _jam_times(results.jam, peer.name, what) for peer in (PY_AMQP, OURS)}
        faster = Spread.of(ratios(times[PY_AMQP], times[OURS]))
        cells = [told(Spread.of(each.values()), unit=" s") for each in times.values()]
        rows.append((f"{results.jam[0].calls:,} {what}", *cells, told(faster, unit=" ×")))
    picture = "![Messages through against time](charts/jam.svg)"
    head = ("", PY_AMQP.title, OURS.title, "as fast")
    return [JAM.format(messages=f"{results.jam[0].calls:,}"), picture, table(head, rows)]


def _jam_times(samples: Iterable[JamSample], peer: str, what: str) -> dict[int, float]:
    return {sample.round: sample.seconds for sample in samples if (sample.peer, sample.what) == (peer, what)}


def _profile(results: Results) -> list[str]:
    if not results.profile:
        return []
    columns = sorted({(sample.process, sample.in_flight) for sample in results.profile})
    layers: dict[str, Spent] = {name: defaultdict(float) for name in LAYERS}
    functions: dict[str, Spent] = {}
    for sample in results.profile:
        column, function = (sample.process, sample.in_flight), f"`{sample.function}` ({sample.where})"
        layers.setdefault(layer(sample.where), defaultdict(float))[column] += sample.microseconds
        functions.setdefault(function, defaultdict(float))[column] += sample.microseconds
    head = ("in flight", *(f"{process}, {in_flight:,}" for process, in_flight in columns))

    def rows(counted: Iterable[tuple[str, Spent]]) -> list[tuple[str, ...]]:
        return [(name, *(f"{spent[column]:.1f}" for column in columns)) for name, spent in counted]

    most = sorted(functions.items(), key=lambda item: -sum(item[1].values()))[:MOST_FUNCTIONS]
    return [PROFILE, table(head, rows(layers.items())), table(head, rows(most))]


def _failures(results: Results) -> list[str]:
    if not results.failures:
        return []
    parts = ["## What failed"]
    for failure in results.failures:
        words = "\n".join(f"    {line}" for line in failure.words.splitlines())
        parts.append(f"{BY_NAME[failure.peer].title}, {failure.doing}:\n\n{words}")
    return parts


def _where(results: Results) -> list[str]:
    machine = results.machine
    memory = f"{machine.memory_gigabytes:g} GiB"
    facts = [
        ("machine", f"{machine.cores} cores of {machine.processor}, {memory}, {machine.system}"),
        *results.versions.items(),
        *((f"{part} measured", taken) for part, taken in results.taken.items()),
    ]
    peers = []
    for peer in BY_NAME.values():
        found = results.peer_versions.get(peer.name)
        if found:
            peers.append((peer.title, ", ".join(f"{name} {found[name]}" for name in peer.shown if name in found)))
    parts = [WHERE, _text_table(("", ""), facts)]
    return [*parts, _text_table(("peer", "versions"), peers)] if peers else parts


def _text_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return table(head, rows).replace("---:", "---")
