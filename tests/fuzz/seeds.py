"""``python -m tests.fuzz.seeds`` writes the first inputs of all harnesses to ``corpus/``. Others there stay."""

from __future__ import annotations

from tests.fuzz.harnesses import NAMES, Harness
from tests.fuzz.run import CORPUS


def main() -> None:
    """Write them."""
    for name in NAMES:
        folder = CORPUS / name
        folder.mkdir(parents=True, exist_ok=True)
        for seed, data in Harness.of(name).seeds.items():
            folder.joinpath(seed).write_bytes(data)


if __name__ == "__main__":
    main()
