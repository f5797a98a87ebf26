"""Accuracy of one trained model against the number of steps that its solver takes at inference."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from reports.figures.accuracy_axis import accuracy_words, scale_accuracies
from reports.figures.figure import Figure, Words
from reports.figures.labels import label_ends, named_lines
from reports.figures.seeds import BAND, most_seeds, over_seeds
from reports.figures.style import Styles, draw_lines, highlight, scale_x
from reports.view import DatasetView

MEAN, LEAST, MOST = (f"test_accuracy_{name}_of_seeds_percent" for name in ("mean", "least", "most"))


class InferenceSteps(Figure[DatasetView]):
    """A line for rows that share a training and differ in nothing but `steps`; mean over seeds, and their range."""

    name = "inference-steps"
    legend = None

    def frame(self, data: DatasetView) -> pd.DataFrame | None:
        lines: dict[tuple[object, ...], list[str]] = {}
        for method in data.drawn:
            cell = data.finished[method][0]
            others = sorted((key, str(value)) for key, value in cell.config.options.items() if key != "steps")
            if cell.trained_with is not None and "steps" in cell.config.options:
                lines.setdefault((cell.trained_with, *others), []).append(method)
        rows = [
            (methods[0], _without_steps(methods[0]), cell.config.options["steps"], cell.seed, 100 * cell.test_accuracy)
            for methods in lines.values()
            if len(methods) > 1
            for method in methods
            for cell in data.finished[method]
            if cell.test_accuracy is not None
        ]
        frame = pd.DataFrame(rows, columns=["method", "line", "steps", "seed", "accuracy"]).sort_values("steps")
        return over_seeds(frame, ["method", "line", "steps"], "accuracy", [MEAN, LEAST, MOST])

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: Styles) -> None:
        (panel,) = axes
        of_lines = {str(line): styles[str(method)] for line, method in zip(frame["line"], frame["method"], strict=True)}
        of_lines = highlight(of_lines, of_lines)
        draw_lines(panel, frame.assign(method=frame["line"]), "steps", MEAN, of_lines, band=(LEAST, MOST))
        scale_x(panel, frame["steps"])
        panel.set(xlabel="steps of inference", ylabel="test accuracy (%)")
        scale_accuracies(panel, *_extent(frame))
        label_ends(panel, named_lines(panel, of_lines), of_lines)

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        said = "; ".join(
            f"{line}: {', '.join(f'{row[MEAN]:.2f}% with {row.steps}' for _, row in rows.iterrows())}"
            for line, rows in frame.groupby("line", sort=False)
        )
        return Words(
            f"Line chart of test accuracy against the number of inference steps on {data.name}. {said}.",
            "Accuracy of the same trained models with another number of steps at inference. "
            + ("One seed per method." if most_seeds(data) == 1 else BAND)
            + accuracy_words(*_extent(frame)),
        )


def _extent(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return frame[LEAST].to_numpy(), frame[MOST].to_numpy(), frame[MEAN].to_numpy()  # few steps are the question


def _without_steps(label: str) -> str:
    """`noprop-ct[eta=1]` of `noprop-ct[eta=1,steps=5]`."""
    return re.sub(r",?\bsteps=\d+", "", label).replace("[,", "[").replace("[]", "")
