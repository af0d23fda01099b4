"""The results as SVG charts, drawn by matplotlib. Two runs on the same results give the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib

matplotlib.use("svg")

import matplotlib.pyplot as plt

from tools.bench.catalogue import OURS, PEERS, PY_AMQP, Peer
from tools.bench.growth import DAY, GROWTHS
from tools.bench.report import CPU_IN_FLIGHT, cpu_per_call
from tools.bench.results import GrowthSample, Results

STYLE = {
    "svg.hashsalt": "thrift-amqp-rpc",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.3,
    "legend.frameon": False,
    "figure.constrained_layout.use": True,
}
OUR_COLOUR = "#d62728"
COLOURS = [each for each in plt.colormaps["tab20"].colors if each != plt.colormaps["tab20"].colors[6]]
MARKS = "osD^vP*X<>hpd"
CPU_COLOURS = {"client": "#1f77b4", "server": "#ff7f0e", "broker": "#7f7f7f"}


def draw(results: Results, folder: Path) -> None:
    """Draw the charts of all results there are into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    with plt.rc_context(STYLE):
        for name, there, figure in (
            ("throughput", results.samples, _throughput),
            ("cpu", [each for each in results.samples if each.in_flight == CPU_IN_FLIGHT], _cpu),
            ("latency", results.latencies, _latency),
            ("growth", results.growth, _growth),
            ("jam", results.jam, _jam),
        ):
            if there:
                drawn = figure(results)
                drawn.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
                plt.close(drawn)


def _look(peer: Peer) -> dict[str, Any]:
    """How a peer's line looks; ours stands out."""
    number = PEERS.index(peer)
    if peer is OURS:
        return {"color": OUR_COLOUR, "linewidth": 3, "marker": "o", "zorder": 10, "label": peer.title}
    return {"color": COLOURS[number % len(COLOURS)], "marker": MARKS[number % len(MARKS)], "label": peer.title}


def _throughput(results: Results) -> Any:
    figure, axes = plt.subplots(figsize=(9, 5.5))
    for peer in PEERS:
        rates: dict[int, list[float]] = {}
        for sample in results.samples:
            if sample.peer == peer.name:
                rates.setdefault(sample.in_flight, []).append(sample.rate)
        if rates:
            columns = sorted(rates)
            axes.plot(columns, [median(rates[each]) for each in columns], **_look(peer))
    axes.set(xscale="log", yscale="log", xlabel="calls in flight", ylabel="calls a second")
    _plain_numbers(axes)
    figure.legend(loc="outside right center")
    return figure


def _cpu(results: Results) -> Any:
    bars = []
    for peer in PEERS:
        samples = [each for each in results.samples if (each.peer, each.in_flight) == (peer.name, CPU_IN_FLIGHT)]
        if samples:
            spreads = cpu_per_call(samples)
            bars.append((peer.title, {name: spread.median if spread else 0.0 for name, spread in spreads.items()}))
    bars.sort(key=lambda bar: -sum(bar[1].values()))
    figure, axes = plt.subplots(figsize=(9, 1 + 0.4 * len(bars)))
    names = [name for name, _ in bars]
    left = [0.0] * len(bars)
    for part, colour in CPU_COLOURS.items():
        widths = [values[part] for _, values in bars]
        axes.barh(names, widths, left=left, color=colour, label=part)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.set(xlabel=f"microseconds of processor time a call, {CPU_IN_FLIGHT} in flight")
    axes.grid(visible=False, axis="y")
    axes.legend()
    return figure


def _latency(results: Results) -> Any:
    figure, panels = plt.subplots(1, 2, figsize=(11, 5), sharey=True)
    for axes, percentile in zip(panels, ("50", "99"), strict=True):
        for peer in PEERS:
            points: dict[int, list[float]] = {}
            for sample in results.latencies:
                if sample.peer == peer.name and sample.kept_up:
                    points.setdefault(sample.rate, []).append(sample.percentiles[percentile] * 1000)
            if points:
                rates = sorted(points)
                look = _look(peer) | ({"label": None} if percentile != "50" else {})
                axes.plot(rates, [median(points[rate]) for rate in rates], **look)
        axes.set(xscale="log", yscale="log", xlabel="calls begun a second", title=f"{percentile} % within")
        _plain_numbers(axes)
    panels[0].set_ylabel("milliseconds")
    figure.legend(loc="outside right center")
    return figure


def _growth(results: Results) -> Any:
    kinds = [(what, kind.title, kind.unit) for what, kind in GROWTHS.items()]
    kinds += [(what, f"calls made: the {process}", "bytes") for what, process in DAY.items()]
    figure, panels = plt.subplots(2, 5, figsize=(16, 6.5))
    for axes, (what, title, unit) in zip(panels.flat, kinds, strict=True):
        name, cost = COSTS[unit]
        axes.set(title=title, ylabel=name, xscale="linear" if what in DAY else "log")
        highest = 0.0
        for peer in GROWTHS[what].peers if what in GROWTHS else (OURS,):
            points = _medians(results.growth, what, peer)
            costs = [cost(value) for value in points.values()]
            highest = max(highest, *costs, 0.0)
            axes.plot(list(points), costs, **_look(peer))
            if what not in DAY and points:
                axes.set_xticks(list(points))
        axes.set(**({"yscale": "log"} if what == "replies" else {"ylim": (0, 1.15 * highest or 1)}))
        _plain_numbers(axes)
    handles, labels = panels.flat[list(GROWTHS).index("replies")].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


COSTS: dict[str, tuple[str, Callable[[float], float]]] = {
    "calls/s": ("microseconds a call", lambda rate: 1e6 / rate),
    "requests/s": ("microseconds a request", lambda rate: 1e6 / rate),
    "bytes/s": ("nanoseconds a byte", lambda rate: 1e9 / rate),
    "bytes a call": ("KiB a call", lambda size: size / 2**10),
    "bytes": ("MiB", lambda size: size / 2**20),
}
"""By the unit of the values: the unit that is drawn, and the conversion."""


def _medians(samples: Sequence[GrowthSample], what: str, peer: Peer) -> dict[int, float]:
    mine = [sample for sample in samples if (sample.what, sample.peer) == (what, peer.name)]
    return {at: median(sample.value for sample in mine if sample.at == at) for at in sorted({each.at for each in mine})}


def _jam(results: Results) -> Any:
    kinds = sorted({sample.what for sample in results.jam})
    figure, panels = plt.subplots(1, len(kinds), figsize=(11, 4.5), squeeze=False)
    for axes, what in zip(panels.flat, kinds, strict=True):
        for peer in (PY_AMQP, OURS):
            runs = sorted((each for each in results.jam if (each.peer, each.what) == (peer.name, what)), key=_seconds)
            if runs:
                typical = runs[len(runs) // 2]
                step = typical.calls / max(1, len(typical.timeline))
                done = [round(step * number) for number in range(len(typical.timeline) + 1)]
                look = _look(peer) | {"marker": None}
                axes.plot([0.0, *typical.timeline], done, **look)
        axes.set(xlabel="seconds", ylabel=f"{what} through", xlim=(0, None), ylim=(0, None))
        _plain_numbers(axes)
    panels.flat[0].legend(loc="lower right")
    return figure


def _seconds(sample: Any) -> float:
    return float(sample.seconds)


def _plain_numbers(axes: Any) -> None:
    """Numbers as people write them, not powers of ten."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(matplotlib.ticker.FuncFormatter(_written))
        axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


def _written(value: float, _: object) -> str:
    for size, letter in ((1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
