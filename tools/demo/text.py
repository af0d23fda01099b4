"""The demo's data: the lines of the project's own documents and sources, and their figures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from generated.report.ttypes import Summary
from tools.processes import PROJECT

DOCUMENTS = ("*.md", "docs/**/*.md", "idl/*.thrift", "services/*.py", "rpc/**/*.py")
"""The files that are read, in this order; for each pattern, by name."""


def project_lines(limit: int) -> dict[str, bytes]:
    """The first `limit` lines that are not blank, by ``file:line``."""
    return dict(islice(_lines(), limit))


def _lines() -> Iterator[tuple[str, bytes]]:
    for pattern in DOCUMENTS:
        for path in sorted(PROJECT.glob(pattern)):
            for number, line in enumerate(path.read_bytes().splitlines(), 1):
                if line.strip():
                    yield f"{path.relative_to(PROJECT)}:{number}", line


def figures(lines: dict[str, bytes]) -> Summary:
    """The figures that ``report`` must return for these lines, computed without it."""
    size = sum(map(len, lines.values()))
    return Summary(
        documents=len(lines),
        bytes=size,
        words=sum(len(line.split()) for line in lines.values()),
        meanBytes=size / len(lines),
        largestKey=max(sorted(lines), key=lambda key: len(lines[key])),
    )
