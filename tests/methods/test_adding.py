"""A method is one new file: the README's example, dropped into a copy of the project, keeps the contract and runs."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the example in `methods/`, and nothing else changed."""
    folder = tmp_path_factory.mktemp("project")
    for name in ("bench", "methods", "results", "reports", "tests"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "reference"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    readme = (PROJECT / "methods" / "README.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", readme, re.DOTALL)
    assert example is not None
    (folder / "methods" / "label_smoothing.py").write_text(example[1], encoding="utf-8")
    return folder


def run(copy: Path, *arguments: str) -> str:
    """Run a module in the copy; what it printed."""
    command = [sys.executable, "-m", *arguments]
    ended = subprocess.run(command, cwd=copy, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_it_keeps_the_contract(copy: Path) -> None:
    printed = run(copy, "pytest", "-o", "addopts=", "tests/contract.py", "-k", "label-smoothing")
    assert re.search(r"\b1[0-9] passed", printed), printed


def test_it_is_trained_and_in_the_report(copy: Path) -> None:
    method = "label-smoothing[epsilon=0.2]"
    small = ("--epochs", "1", "--batch-size", "16", "--train-size", "64", "--threads", "1", "--seeds", "0")
    printed = run(copy, "bench.run", "--methods", f"backprop-cnn,{method}", *small, "--out", str(copy / "runs"))
    report = Path(printed.splitlines()[-1]).read_text(encoding="utf-8")
    assert f"`{method}`" in report
    assert "each batch trains the network once" in report
