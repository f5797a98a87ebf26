"""The figures of a report, in its order. A new figure is a file of its own and a line here."""

from __future__ import annotations

from pathlib import Path

from reports.figures.accuracy_by_epoch import AccuracyByEpoch
from reports.figures.accuracy_by_step import AccuracyByStep
from reports.figures.accuracy_by_time import AccuracyByTime
from reports.figures.activations_by_depth import ActivationsByDepth
from reports.figures.blocks import Blocks
from reports.figures.blocks_by_epoch import BlocksByEpoch
from reports.figures.differences import Differences
from reports.figures.figure import Figure, FigureFile
from reports.figures.inference_steps import InferenceSteps
from reports.figures.memory import Memory
from reports.figures.memory_over_time import MemoryOverTime
from reports.figures.selection import highlighted
from reports.figures.style import Styles, highlight
from reports.figures.trade_off import TradeOff
from reports.view import DatasetView

FIGURES: tuple[Figure[DatasetView], ...] = (
    Differences(),
    AccuracyByEpoch(),
    AccuracyByTime(),
    TradeOff(),
    Memory(),
    MemoryOverTime(),
    ActivationsByDepth(),
    Blocks(),
    BlocksByEpoch(),
    AccuracyByStep(),
    InferenceSteps(),
)


def draw(data: DatasetView, styles: Styles, folder: Path, prefix: str) -> dict[str, FigureFile]:
    """Write every figure that the data set has numbers for, as `folder/<prefix>-<name>.png`, `.svg` and `.csv`.

    Returns:
        By name, in the order of `FIGURES`.
    """
    styles = highlight(styles, highlighted(data))
    files = {figure.name: figure.write(data, folder, styles, f"{prefix}-") for figure in FIGURES}
    return {name: file for name, file in files.items() if file is not None}
