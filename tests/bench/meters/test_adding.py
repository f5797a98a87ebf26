"""A meter is added as the README in the folder of meters says, and its value is in the cell's row and in the report."""

from __future__ import annotations

import json
from pathlib import Path

from tests.checkout import copy_project, edit, python_blocks, run_in


def test_the_meter_of_the_readme(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    file, field, column, section = python_blocks(project / "bench" / "meters" / "README.md")
    (project / "bench" / "meters" / "faults.py").write_text(file)
    listed = project / "bench" / "meters" / "__init__.py"
    edit(listed, "from bench.meters.gpu", "from bench.meters.faults import PageFaults\nfrom bench.meters.gpu")
    edit(listed, "(GpuMemory, PeakRss)", "(GpuMemory, PeakRss, PageFaults)")
    edit(project / "results" / "schema.py", "    peak_rss_bytes:", f"{field}    peak_rss_bytes:")
    edit(project / "reports" / "sections" / "memory.py", "MEASURES = (\n", f"MEASURES = (\n    {column.strip()},\n")
    (project / "reports" / "sections" / "faults.py").write_text(section)
    edit(project / "reports" / "page.py", "MEASUREMENTS = (", 'MEASUREMENTS = ("faults", ')

    small = ("--datasets", "digits", "--methods", "backprop", "--seeds", "0", "--train-size", "100", "--epochs", "1")
    run_in(project, "bench.run", *small, "--threads", "1", "--no-race", "--out", tmp_path / "runs")
    (run,) = (tmp_path / "runs").iterdir()
    assert json.loads((run / "cells.jsonl").read_text())["page_faults"] > 0
    report = (run / "details.md").read_text()
    assert " ".join(report.split()).count("| page faults |") == 2  # with memory, and by itself
    assert "### Page faults" in report
