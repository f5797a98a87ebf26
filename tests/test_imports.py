"""Who imports whom: the contracts of `pyproject.toml` are kept, and no file is in a circle with another."""

from __future__ import annotations

import shutil
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

PROJECT = Path(__file__).resolve().parents[1]
PACKAGES = ("bench", "methods", "results", "reports")
NO_SOURCES = shutil.ignore_patterns("reference", "runs", "data", "microbench", "profiles", "scale")
LINT = "from importlinter.cli import lint_imports_command as lint; lint()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache", "--no-logo"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def files_in_a_circle(imports: dict[str, set[str]]) -> list[str]:
    """The first circle of files that import each other, packages' `__init__.py` included; empty if there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_the_contracts_are_kept() -> None:
    done = lint(PROJECT)
    assert done.returncode == 0, done.stdout


def test_no_file_imports_one_that_imports_it() -> None:
    graph = grimp.build_graph(*PACKAGES, exclude_type_checking_imports=True, cache_dir=None)
    imports = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    assert files_in_a_circle(imports) == []


def test_a_circle_is_found() -> None:
    assert files_in_a_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) != []


BROKEN = [
    ("results/schema.py", "bench.errors", "results is not allowed to import bench"),
    ("results/schema.py", "methods", "results is not allowed to import methods"),
    ("methods/core/method.py", "results.schema", "methods is not allowed to import results"),
    ("reports/view.py", "bench.errors", "reports is not allowed to import bench"),
    ("bench/training/cell.py", "bench.planning.plan", "bench.training is not allowed to import bench.planning"),
    ("bench/errors.py", "bench.children.protocol", "bench.errors is not allowed to import bench.children"),
    ("bench/extra.py", "bench.errors", "- bench.extra"),
    ("methods/core/method.py", "methods.networks.continuous", "methods.core is not allowed to import methods.networks"),
    ("methods/networks/layers.py", "methods.noprop_dt", "No cycles are allowed in methods"),
    ("reports/view.py", "reports.page", "reports.view is not allowed to import reports.page"),
    ("results/conditions.py", "results.schema", "No cycles are allowed in results"),
]
"""A file, what it is made to import inside a function, and what is said of that."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What is said of a copy in which every contract is broken."""
    folder = tmp_path_factory.mktemp("copy")
    shutil.copy(PROJECT / "pyproject.toml", folder)
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, folder / package, ignore=NO_SOURCES)
    for file, module, _ in BROKEN:
        with (folder / file).open("a") as source:
            source.write(f"\n\ndef function() -> None:\n    import {module}\n")
    done = lint(folder)
    assert done.returncode == 1
    assert " KEPT" not in done.stdout
    return " ".join(done.stdout.split())


@pytest.mark.parametrize(("file", "module", "complaint"), BROKEN)
def test_what_breaks_a_contract_is_reported(said: str, file: str, module: str, complaint: str) -> None:
    assert complaint in said
