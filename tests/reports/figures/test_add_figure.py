"""A figure is one new file and the line that lists it: the README's template, in a whole report."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from reports.build import build_report
from reports.figures import catalogue
from tests.factories import make_cells, whole, write_run

README = Path(catalogue.__file__).with_name("README.md")


def test_a_new_figure_is_written_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (template,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "training_time.py").write_text(template, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    from training_time import TrainingTime  # type: ignore[import-not-found]

    monkeypatch.setattr(catalogue, "FIGURES", (*catalogue.FIGURES, TrainingTime()))
    cells = make_cells(["backprop", "noprop"], seeds=range(3))
    report = build_report(write_run(tmp_path / "run", cells))

    text = whole(report)
    longest = max(cell.train_seconds or 0 for cell in cells)
    alt = f"Dot plot of training time in seconds by seed on mnist. Longest: {longest:.3g} s."
    assert f"![{alt}](figures/mnist-training-time.png)\n\n*Training time by seed; evaluation is not included.*" in text
    figure = report.parent / "figures" / "mnist-training-time.png"
    with Image.open(figure) as image:
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 100
    assert "noprop" in figure.with_suffix(".svg").read_text(encoding="utf-8")
    drawn = pd.read_csv(figure.with_suffix(".csv"))
    assert drawn.columns.tolist() == ["method", "seed", "training_time_seconds"]
    seconds = {(cell.method, cell.seed): cell.train_seconds for cell in cells}
    assert drawn.set_index(["method", "seed"])["training_time_seconds"].to_dict() == pytest.approx(seconds, rel=1e-6)
