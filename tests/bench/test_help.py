"""`--help` answers at once: no command imports for it what takes seconds."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.bench.harness import PROJECT

COMMANDS = [
    f"bench.{name}"
    for name in ("run", "data", "predict", "calibrate", "compare", "microbench", "profile", "scale", "tune")
]
COMMANDS.append("reports.build")
SLOW = ("torch", "optuna", "pandas", "scipy", "matplotlib", "seaborn", "statsmodels", "sklearn")
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


@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_slow_is_imported_for_help(command: str) -> None:
    slow = SLOW if command == "reports.build" else ("pydantic", *SLOW)  # which reads records, and little else
    ended = subprocess.run(
        [sys.executable, "-c", CALL, command, *slow], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    usage, *_, code, imported = ended.stdout.splitlines()
    assert usage.startswith("Usage: ")
    assert "--help" in ended.stdout
    assert code == "exit code 0"
    assert imported == "imported"
