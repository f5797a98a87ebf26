"""A method, a data set and a meter are added as their READMEs say, in a copy of the project, and are in one report."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from tests.checkout import NO_SOURCES, PROJECT, copy_project, edit, python_blocks, run_in

METHOD = "label-smoothing[epsilon=0.2]"


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with the READMEs' examples: a file each for the method and the data set, edits for the meter."""
    project = copy_project(tmp_path_factory.mktemp("project"))
    shutil.copytree(PROJECT / "tests", project / "tests", ignore=NO_SOURCES)
    shutil.copy(PROJECT / "pyproject.toml", project)
    (project / "methods" / "label_smoothing.py").write_text(python_blocks(project / "methods" / "README.md")[0])
    (stripes,) = python_blocks(project / "bench" / "datasets" / "README.md")
    (project / "bench" / "datasets" / "stripes.py").write_text(stripes)
    file, field, column, section = python_blocks(project / "bench" / "meters" / "README.md")
    (project / "bench" / "meters" / "faults.py").write_text(file)
    listed = project / "bench" / "meters" / "__init__.py"
    edit(listed, "from bench.meters.gpu", "from bench.meters.faults import PageFaults\nfrom bench.meters.gpu")
    edit(listed, "(GpuMemory, PeakRss)", "(GpuMemory, PeakRss, PageFaults)")
    edit(project / "results" / "schema.py", "    peak_rss_bytes:", f"{field}    peak_rss_bytes:")
    edit(project / "reports" / "sections" / "memory.py", "MEASURES = (\n", f"MEASURES = (\n    {column.strip()},\n")
    (project / "reports" / "sections" / "faults.py").write_text(section)
    edit(project / "reports" / "page.py", "MEASUREMENTS = (", 'MEASUREMENTS = ("faults", ')
    return project


@pytest.fixture(scope="module")
def run(copy: Path) -> Path:
    """A run of the method on the data set."""
    small = ("--epochs", "1", "--batch-size", "16", "--train-size", "64", "--threads", "1", "--seeds", "0")
    given = ("--datasets", "stripes", "--methods", METHOD)
    done = run_in(copy, "bench.run", *given, *small, "--no-race", "--out", copy / "runs")
    return Path(done.stdout.splitlines()[-1]).parent


@pytest.fixture(scope="module")
def details(run: Path) -> str:
    """The report's details, in one line."""
    return " ".join((run / "details.md").read_text().split())


def test_the_method_keeps_the_contract(copy: Path) -> None:
    done = run_in(copy, "pytest", "-o", "addopts=", "tests/contract.py", "-k", "label-smoothing")
    assert re.search(r"\b1[0-9] passed", done.stdout), done.stdout


def test_the_method_is_in_the_report(run: Path, details: str) -> None:
    assert f"`{METHOD}`" in (run / "report.md").read_text()
    assert "each batch trains the network once" in details


def test_the_data_set_is_in_the_report_and_in_the_list(copy: Path, details: str) -> None:
    assert "stripes" in details
    assert "a formula" in details
    assert "shape" in run_in(copy, "bench.data", "stripes").stdout


def test_the_meter_s_value_is_in_the_row_and_in_the_report(run: Path, details: str) -> None:
    assert json.loads((run / "cells.jsonl").read_text())["page_faults"] > 0
    assert details.count("| page faults |") == 2  # with memory, and by itself
    assert "### Page faults" in details
