"""What each block has learned, from the diagnostics in the results: frames, tables and the words around them."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reports.text import MISSING, code, markdown_table, number
from reports.view import DatasetView

NEAR_THE_END = 0.5
"""Percentage points within which an accuracy counts as the final one."""
KEY = ["method", "seed", "epoch"]


def block_frame(data: DatasetView) -> pd.DataFrame:
    """One row a block, epoch and cell: method, seed, epoch, and the fields of `BlockRecord`; accuracies in percent."""
    rows = [
        {"method": cell.method, "seed": cell.seed, "epoch": epoch.epoch} | block.model_dump()
        for cell in data.cells
        for epoch in cell.epochs
        if epoch.diagnostics
        for block in epoch.diagnostics.blocks
    ]
    frame = pd.DataFrame(rows)
    if not frame.empty:
        frame[["own_accuracy", "image_accuracy"]] *= 100
        frame["snr_weight"] = frame["snr_weight"].astype(float)
    return frame


def step_frame(data: DatasetView) -> pd.DataFrame:
    """One row a time of inference, epoch and cell: method, seed, epoch, time, accuracy in percent."""
    rows = [
        {
            "method": cell.method,
            "seed": cell.seed,
            "epoch": epoch.epoch,
            "time": step.time,
            "accuracy": step.accuracy * 100,
        }
        for cell in data.cells
        for epoch in cell.epochs
        if epoch.diagnostics
        for step in epoch.diagnostics.steps
    ]
    return pd.DataFrame(rows)


def last_epoch(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each cell's last epoch."""
    return frame[frame["epoch"] == frame.groupby(["method", "seed"])["epoch"].transform("max")]


def methods_in(frame: pd.DataFrame) -> list[str]:
    """Methods that the frame has rows of, in its order."""
    return [] if frame.empty else list(dict.fromkeys(frame["method"]))


def has_steps(data: DatasetView) -> bool:
    """Whether there is anything to show."""
    return any(epoch.diagnostics for cell in data.cells for epoch in cell.epochs)


def blocks_table(frame: pd.DataFrame, method: str) -> str:
    """Blocks of one method after the last epoch, means over seeds."""
    rows = last_epoch(frame)
    means = (
        rows[rows["method"] == method]
        .groupby("number")[["time", "own_accuracy", "image_accuracy", "denoising_error", "snr_weight"]]
        .mean()
    )
    body = [
        [
            str(block),
            number(row["time"], decimals=2),
            number(row["own_accuracy"], decimals=2),
            number(row["image_accuracy"], decimals=2),
            f"{row['denoising_error']:.3g}",
            MISSING if pd.isna(row["snr_weight"]) else f"{row['snr_weight']:.3g}",
        ]
        for block, row in means.iterrows()
    ]
    headers = [
        "block",
        "time of its input",
        "own task, %",
        "image and pure noise, %",
        "denoising error",
        "weight of its loss",
    ]
    return markdown_table(headers, body)


def steps_table(frame: pd.DataFrame) -> str:
    """Accuracy if inference stopped at a time, a row a method; means over seeds, after the last epoch."""
    means = last_epoch(frame).groupby(["method", "time"])["accuracy"].mean()
    shown = [round(k / 10, 1) for k in range(11)]
    body = []
    for method in methods_in(frame):
        curve = means[method]
        at = {round(float(time), 1): value for time, value in curve.items() if abs(time * 10 - round(time * 10)) < 1e-6}
        body.append([code(method), *(number(at[time], decimals=2) if time in at else MISSING for time in shown)])
    return markdown_table(["stopped at time", *(f"{time:g}" for time in shown)], body)


def sections(data: DatasetView, drawn: dict[str, list[str]]) -> Iterator[str]:
    """The section's blocks of Markdown.

    Args:
        data: the data set.
        drawn: Markdown of the pictures by name: `blocks`, `blocks-by-epoch`, `accuracy-by-step`.
    """
    blocks, steps = block_frame(data), step_frame(data)
    images = {epoch.diagnostics.images for cell in data.cells for epoch in cell.epochs if epoch.diagnostics}
    yield "### What each block learns"
    yield (
        f"Looked at on {' or '.join(f'{count:,}' for count in sorted(images))} validation images after each epoch. It "
        "takes no part in training, in the times above, or in choosing anything."
    )
    if not blocks.empty:
        yield from drawn.get("blocks", [])
        yield (
            "*Own task*: the class of a block's estimate when it gets what it is trained on, the image and the true "
            "label noised to its level. A late block gets nearly the label itself, so there a high figure says "
            "little. *Image and pure noise*: the same with noise in place of the noised label, which is what the block "
            "reads from the image alone; a late block has never seen so much noise, and may do badly on it and yet "
            "serve its purpose. *Denoising error* is the mean squared distance of the estimate from the label's "
            "embedding on the block's own task, divided by the mean squared length of embeddings: 0 is perfect, and 1 "
            "is what an answer of zero gets. A method with one network for all times is shown at ten of them."
        )
        for method in methods_in(blocks):
            yield f"{code(method)} after the last epoch, means over seeds:"
            yield blocks_table(blocks, method)
        yield from drawn.get("blocks-by-epoch", [])
    if not steps.empty:
        yield "Accuracy (%) if inference stopped on its way, after the last epoch, means over seeds:"
        yield steps_table(steps)
        yield from drawn.get("accuracy-by-step", [])
        yield " ".join(_when_decided(steps))


def _when_decided(steps: pd.DataFrame) -> Iterator[str]:
    means = last_epoch(steps).groupby(["method", "time"])["accuracy"].mean()
    for method in methods_in(steps):
        curve = means[method]
        final = float(curve.iloc[-1])
        first = next(time for time, value in curve.items() if (curve[time:] >= final - NEAR_THE_END).all())
        yield (
            f"{code(method)} is within {NEAR_THE_END} points of its final {number(final, decimals=2)}% from time "
            f"{first:g} on."
        )
