"""A method is one new file: the README's example, dropped into a copy of the project, keeps the contract and runs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.checkout import NO_SOURCES, PROJECT, copy_project, python_blocks, run_in
from tests.factories import whole


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the example in `methods/`, and nothing else changed."""
    folder = copy_project(tmp_path_factory.mktemp("project"))
    shutil.copytree(PROJECT / "tests", folder / "tests", ignore=NO_SOURCES)
    shutil.copy(PROJECT / "pyproject.toml", folder)
    (folder / "methods" / "label_smoothing.py").write_text(python_blocks(PROJECT / "methods" / "README.md")[0])
    return folder


def test_it_keeps_the_contract(copy: Path) -> None:
    done = run_in(copy, "pytest", "-o", "addopts=", "tests/contract.py", "-k", "label-smoothing")
    assert re.search(r"\b1[0-9] passed", done.stdout), done.stdout


def test_it_is_trained_and_in_the_report(copy: Path) -> None:
    method = "label-smoothing[epsilon=0.2]"
    small = ("--epochs", "1", "--batch-size", "16", "--train-size", "64", "--threads", "1", "--seeds", "0")
    done = run_in(copy, "bench.run", "--methods", f"backprop-cnn,{method}", *small, "--no-race", "--out", copy / "runs")
    report = whole(Path(done.stdout.splitlines()[-1]))
    assert f"`{method}`" in report
    assert "each batch trains the network once" in report
