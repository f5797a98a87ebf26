"""A data set is added as the README in the folder of data sets says: one new file, and it is in the report."""

from __future__ import annotations

from pathlib import Path

from tests.checkout import copy_project, python_blocks, run_in


def test_the_data_set_of_the_readme(tmp_path: Path) -> None:
    project = copy_project(tmp_path / "project")
    (file,) = python_blocks(project / "bench" / "datasets" / "README.md")
    (project / "bench" / "datasets" / "stripes.py").write_text(file)

    small = ("--methods", "backprop", "--seeds", "0", "--train-size", "200", "--epochs", "1", "--threads", "1")
    run_in(project, "bench.run", "--datasets", "stripes", *small, "--no-race", "--out", tmp_path / "runs")
    (run,) = (tmp_path / "runs").iterdir()
    report = (run / "details.md").read_text()
    assert "stripes" in report
    assert "a formula" in report
    assert "shape" in run_in(project, "bench.data", "stripes").stdout
