"""Measures the shapes: ``python -m tools.decoding [--end worker] [--only TEXT] [--size BYTES] [--json FILE]``.

Each message is decoded in a process of its own. Seconds are processor time; megabytes are the growth of the resident
memory at its peak (``VmHWM``), with the message there before.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import traceback
from pathlib import Path

from tools.decoding.ends import Ends
from tools.decoding.shapes import SHAPES, Make

LONGEST = 120
"""Seconds of one measurement."""

LARGEST_POWER = 250
"""Of 1.04, times 1,000 bytes: 18 MB."""

FAILED = 255
"""The exit status of a search that has failed. Another one is the power of the size that it has found."""


def main() -> None:
    """Measure every shape, and print a row for each."""
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--end", choices=("worker", "client"), action="append")
    arguments.add_argument("--only", default="")
    arguments.add_argument("--size", type=int, default=16 * 1024 * 1024)
    arguments.add_argument("--largest", action="store_true", help="the largest size that is accepted, too")
    arguments.add_argument("--json", type=Path)
    arguments.add_argument("--one", nargs=4, help=argparse.SUPPRESS)
    chosen = arguments.parse_args()
    if chosen.one:
        end, protocol, name, size = chosen.one
        print(json.dumps(_measure(end, protocol, name, int(size))))
        return
    rows = []
    for end in chosen.end or ("worker", "client"):
        for protocol, name in SHAPES:
            if chosen.only in f"{protocol} {name}":
                row = _in_a_process(end, protocol, name, chosen.size)
                rows.append({"end": end, "protocol": protocol, "shape": name, **row})
                print(f"{end:6} {protocol:8} {name:45} {_shown(row)}", flush=True)
                if chosen.largest and row.get("refused"):
                    row = _in_a_process(end, protocol, name, 0)
                    rows.append({"end": end, "protocol": protocol, "shape": name, **row})
                    print(f"{'':61} {_shown(row)}", flush=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(rows, indent=1), "utf-8")


def _shown(row: dict[str, object]) -> str:
    if "failed" in row:
        return str(row["failed"])
    return f"{row['size']:>9} bytes {row['seconds']:7.3f} s {row['megabytes']:7.1f} MB  {str(row['refused'])[:90]}"


def _in_a_process(end: str, protocol: str, name: str, size: int) -> dict[str, object]:
    command = [sys.executable, "-m", "tools.decoding", "--one", end, protocol, name, str(size)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=LONGEST, check=False, text=True)
    except subprocess.TimeoutExpired:
        return {"failed": f"over {LONGEST} s"}
    if done.returncode:
        return {"failed": f"status {done.returncode}: {done.stderr.strip()[-200:]}"}
    row: dict[str, object] = json.loads(done.stdout)
    return row


def _measure(end: str, protocol: str, name: str, size: int) -> dict[str, object]:
    ends = Ends()
    make = SHAPES[protocol, name]
    ends.decode(end, protocol, make(600)[end])  # what is made once a class
    body = make(size or _largest(ends, end, protocol, make))[end]
    Path("/proc/self/clear_refs").write_text("5", "ascii")  # the peak begins anew
    before, began = _peak(), time.process_time()
    refused = ends.decode(end, protocol, body)
    seconds = time.process_time() - began
    return {"size": len(body), "seconds": seconds, "megabytes": _peak() - before, "refused": refused}


def _largest(ends: Ends, end: str, protocol: str, make: Make) -> int:
    """Return the size of the largest message of a shape that is accepted, within a few percent.

    It is found in a process of its own: a second decoding would find the memory of the first one.

    :raises RuntimeError: the process has failed, or was killed.
    """
    child = os.fork()
    if not child:
        try:
            os._exit(_largest_power(ends, end, protocol, make))
        except BaseException:
            traceback.print_exc()
            os._exit(FAILED)
    power = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if not 0 <= power < FAILED:
        raise RuntimeError(f"the search for the largest message ended with status {power}")
    return _size(power)


def _largest_power(ends: Ends, end: str, protocol: str, make: Make) -> int:
    accepted, refused = 0, LARGEST_POWER
    while refused - accepted > 1:
        power = (accepted + refused) // 2
        if ends.decode(end, protocol, make(_size(power))[end]):
            refused = power
        else:
            accepted = power
    return accepted


def _size(power: int) -> int:
    return int(1000 * 1.04**power)


def _peak() -> float:
    """Return the highest resident memory of this process, in megabytes."""
    status = Path("/proc/self/status").read_text("ascii")
    (line,) = (line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
