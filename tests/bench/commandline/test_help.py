"""`--help` answers at once and reads well: a summary first, then options in named groups, without stray words."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.bench.harness import PROJECT

COMMANDS = [
    f"bench.{name}"
    for name in (
        "run",
        "data",
        "predict",
        "calibrate",
        "check",
        "compare",
        "microbench",
        "new",
        "profile",
        "race",
        "scale",
        "tune",
    )
]
COMMANDS += ["reports.build", "reports.overview"]
SLOW = ("torch", "optuna", "pandas", "scipy", "matplotlib", "seaborn", "sklearn")
CALL = """
import runpy, sys
name, *slow = sys.argv[1:]
sys.argv = [name, "--help"]
try:
    runpy.run_module(name, run_name="__main__")
except SystemExit as end:
    print("exit code", end.code)
print("imported", *(module for module in slow if module in sys.modules))
"""
TRAINING = ["How to train", "Data", "Where to run", "Output", "Other"]
GROUPS = {
    "bench.run": ["What to compare", *TRAINING],
    "bench.tune": ["What to compare", "How to search", "Or: a sweep instead of a search", *TRAINING],
    "bench.compare": ["Limits", "Where runs are", "Other"],
    "bench.scale": ["What to run", "What to vary (comma-separated lists)", "With --accuracy", *TRAINING],
    "bench.calibrate": ["What to run", *TRAINING],
    "bench.check": ["Other"],
    "bench.new": ["Output", "Other"],
    "bench.data": ["Data", "Output", "Other"],
    "bench.microbench": ["Where to run", "How to compare", "Output", "Other"],
    "bench.profile": ["What to run", *TRAINING],
    "bench.race": ["What to compare", "What to run", *TRAINING[:-2], "Other"],
    "bench.predict": ["How to predict", "Where to run", "Output", "Other"],
    "reports.build": ["Options"],
    "reports.overview": ["Options"],
}
ALONE = {"--resume", "--config", "--print-config", "--list", "--help"}
"""What may stand under "Other": flags about the call itself."""


@pytest.mark.parametrize("command", COMMANDS)
def test_help(command: str) -> None:
    slow = SLOW if command == "reports.build" else ("pydantic", *SLOW)  # which reads records, and little else
    ended = subprocess.run(
        [sys.executable, "-c", CALL, command, *slow],
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    usage, *body, code, imported = ended.stdout.splitlines()
    assert usage.startswith("Usage: ")
    assert "--help" in ended.stdout
    assert code == "exit code 0"
    assert imported == "imported"
    check_layout(body, GROUPS[command])


def check_layout(body: list[str], groups: list[str]) -> None:
    """Below the usage: a summary of one line, details, and options in these groups; no wrapped line of one word."""
    assert body[0] == body[2] == ""
    assert body[1].startswith("  ")
    assert body[1].endswith(".")
    titles = [line.removesuffix(":") for line in body if line and not line.startswith(" ")]
    assert titles == groups
    title = None
    for above, line in zip(["", *body], body, strict=False):
        assert len(line) <= 100
        if line and not line.startswith(" "):
            title = line.removesuffix(":")
        if line.startswith("  --"):
            assert title is not None
            assert title != "Other" or line.split()[0] in ALONE
        elif line.startswith("  ") and above.startswith("  "):
            assert len(line.split()) > 1, f"one word alone on a line: {line}"


def test_a_word_alone_would_be_found() -> None:
    body = ["", "  Train.", "", "Other:", "  --help  Show this message and", "          exit."]
    with pytest.raises(AssertionError, match="one word alone"):
        check_layout(body, ["Other"])
