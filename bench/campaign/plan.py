"""The runs of the campaign, each a configuration of `bench.run` in a file."""

from pathlib import Path

RUNS = Path(__file__).parent / "runs"


def names() -> list[str]:
    """The runs there are, in the order in which they are made."""
    return sorted(file.stem for file in RUNS.glob("*.toml"))
