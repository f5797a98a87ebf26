"""The diagnostics of a data set as frames: what each block has learned, and what inference has reached at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from operator import attrgetter

import pandas as pd

from reports.view import DatasetView
from results.schema import BlockRecord, CellResult, DiagnosticsRecord

_FIELDS = tuple(BlockRecord.model_fields)
_KEY = ("method", "seed", "epoch")


def block_frame(data: DatasetView, *, only_last: bool = False, methods: Collection[str] | None = None) -> pd.DataFrame:
    """One row per block, epoch and cell, with the fields of `BlockRecord`; accuracies in percent.

    Further columns: method, seed, epoch, is_stack (False: one network, looked at at several times), is_own_task
    (whether it is trained on what it was looked at on).

    Args:
        data: the data set.
        only_last: only each cell's last epoch; a cell without diagnostics of that epoch has no rows.
        methods: only these.
    """
    fields = attrgetter(*_FIELDS)
    rows = [
        (cell.method, cell.seed, epoch, "T" in cell.config.options, found.trained_on_own_task, *fields(block))
        for cell, epoch, found in looks(data, only_last=only_last)
        if methods is None or cell.method in methods
        for block in found.blocks
    ]
    frame = pd.DataFrame(rows, columns=[*_KEY, "is_stack", "is_own_task", *_FIELDS])
    if not frame.empty:
        frame[["own_accuracy", "image_accuracy"]] *= 100
        frame["snr_weight"] = frame["snr_weight"].astype(float)
    return frame


def step_frame(data: DatasetView) -> pd.DataFrame:
    """One row per time of inference and cell, after the last epoch: method, seed, epoch, time, accuracy in percent."""
    rows = [
        (cell.method, cell.seed, epoch, step.time, step.accuracy * 100)
        for cell, epoch, found in looks(data, only_last=True)
        for step in found.steps
    ]
    return pd.DataFrame(rows, columns=[*_KEY, "time", "accuracy"])


def methods_with_blocks(data: DatasetView) -> list[str]:
    """Methods with diagnostics of blocks, in the order of the plan."""
    return list(dict.fromkeys(cell.method for cell, _, found in looks(data) if found.blocks))


def looks(data: DatasetView, *, only_last: bool = False) -> Iterator[tuple[CellResult, int, DiagnosticsRecord]]:
    """All diagnostics: the cell, the number of the epoch, and what was found."""
    for cell in data.cells:
        for epoch in cell.epochs[-1:] if only_last else cell.epochs:
            if epoch.diagnostics:
                yield cell, epoch.epoch, epoch.diagnostics


def methods_in(frame: pd.DataFrame) -> list[str]:
    """Methods of a frame, in its order."""
    return [str(method) for method in frame["method"].unique()]
