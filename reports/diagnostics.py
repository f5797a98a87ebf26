"""What each block has learned, from the diagnostics in the results: frames, tables and the words around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from reports.text import MISSING, code, codes, markdown_table, number, plural
from reports.view import DatasetView
from results.schema import CellResult, DiagnosticsRecord

NEAR_THE_END = 0.5
"""Percentage points within which an accuracy counts as the final one."""
MAX_TIMES = 11
"""Columns of times in one table."""


def block_frame(data: DatasetView) -> pd.DataFrame:
    """One row a block, epoch and cell, with the fields of `BlockRecord`; accuracies in percent.

    Columns before those: method, seed, epoch, is_last (the cell's last epoch), is_stack (False: one network, and the
    rows are times at which it was looked at), is_own_task (whether it is trained on what it was looked at on).
    """
    rows = [
        key | {"is_stack": "T" in cell.config.options, "is_own_task": found.trained_on_own_task} | block.model_dump()
        for cell, found, key in _looks(data)
        for block in found.blocks
    ]
    frame = pd.DataFrame(rows)
    if not frame.empty:
        frame[["own_accuracy", "image_accuracy"]] *= 100
        frame["snr_weight"] = frame["snr_weight"].astype(float)
    return frame


def step_frame(data: DatasetView) -> pd.DataFrame:
    """One row a time of inference, epoch and cell: method, seed, epoch, is_last, time, accuracy in percent."""
    rows = [
        key | {"time": step.time, "accuracy": step.accuracy * 100}
        for _, found, key in _looks(data)
        for step in found.steps
    ]
    return pd.DataFrame(rows)


def _looks(data: DatasetView) -> Iterator[tuple[CellResult, DiagnosticsRecord, dict[str, Any]]]:
    """Everything that was looked at: the cell, what was found, and the columns that say where."""
    for cell in data.cells:
        for epoch in cell.epochs:
            if epoch.diagnostics:
                key = {"method": cell.method, "seed": cell.seed, "epoch": epoch.epoch}
                yield cell, epoch.diagnostics, key | {"is_last": epoch is cell.epochs[-1]}


def last_epoch(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of each cell's last epoch; a cell that was not looked at then has none."""
    return frame if frame.empty else frame[frame["is_last"]]


def methods_in(frame: pd.DataFrame) -> list[str]:
    """Methods that the frame has rows of, in its order."""
    return [] if frame.empty else list(dict.fromkeys(frame["method"]))


def blocks_table(rows: pd.DataFrame) -> str:
    """Blocks (or times) of one method, means over seeds; rows: of that method, from the last epoch."""
    measured = ["own_accuracy", "image_accuracy", "denoising_error", "snr_weight"]
    means = rows.groupby(["number", "time"], as_index=False)[measured].mean()
    is_stack = bool(rows["is_stack"].all())
    body = [
        [
            *([f"{row['number']:.0f}"] if is_stack else []),
            number(row["time"], decimals=2),
            number(row["own_accuracy"], decimals=2),
            number(row["image_accuracy"], decimals=2),
            _small(row["denoising_error"]),
            MISSING if pd.isna(row["snr_weight"]) else _small(row["snr_weight"]),
        ]
        for _, row in means.iterrows()
    ]
    headers = [
        *(["block"] if is_stack else []),
        "time of the input",
        "own task, %",
        "image and pure noise, %",
        "denoising error",
        "weight of its loss",
    ]
    return markdown_table(headers, body)


def steps_table(rows: pd.DataFrame) -> str:
    """Accuracy if inference stopped at a time, a row a method; means over seeds; rows: from the last epoch.

    All times that there are, or every tenth where those are many. Between two of its steps a method is where the
    earlier one has brought it.
    """
    means = rows.assign(time=rows["time"].round(4)).groupby(["method", "time"])["accuracy"].mean()
    times = sorted(means.index.unique("time"))
    if len(times) > MAX_TIMES:
        times = [k / 10 for k in range(11)]
    body = []
    for method in methods_in(rows):
        curve = means[method]
        reached = [curve[curve.index <= time] for time in times]
        body.append([code(method), *(number(r.iloc[-1], decimals=2) if len(r) else MISSING for r in reached)])
    return markdown_table(["stopped at time", *(f"{time:.3g}" for time in times)], body)


def sections(data: DatasetView, drawn: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """The section's blocks of Markdown; nothing where nothing was looked at after the last epoch.

    Args:
        data: the data set.
        drawn: Markdown of the pictures by name: `blocks`, `blocks-by-epoch`, `accuracy-by-step`.
    """
    blocks, steps = last_epoch(block_frame(data)), last_epoch(step_frame(data))
    if blocks.empty and steps.empty:
        return
    images = {found.images for _, found, _ in _looks(data)}
    yield "### What each block learns"
    yield (
        f"Looked at on {' or '.join(f'{count:,}' for count in sorted(images))} validation images after each epoch. It "
        "takes no part in training, in the times above, or in choosing anything."
    )
    if not blocks.empty:
        yield from drawn.get("blocks", [])
        yield (
            "*Own task*: the class of a block's estimate when it gets the image and the true label noised to its "
            f"level, which is what blocks are trained on{_but(blocks)}. A late block gets nearly the label itself, so "
            "there a high figure says little. *Image and pure noise*: the same with noise in place of the noised "
            "label, so that only the image can tell; a late block has never seen so much noise, and may do badly on "
            "it and yet serve its purpose. *Denoising error* is the mean squared distance of the estimate from the "
            "label's embedding on the block's own task, divided by the mean squared length of embeddings: 0 is "
            "perfect, and 1 is what an answer of zero gets. A method with one network for all times is shown at some "
            "of them."
        )
        yield "\n".join(f"- {sentence}" for sentence in _from_the_image(blocks))
        for method in methods_in(blocks):
            rows = blocks[blocks["method"] == method]
            yield f"{code(method)} after the last epoch, means over {plural(rows['seed'].nunique(), 'seed')}:"
            yield blocks_table(rows)
        yield from drawn.get("blocks-by-epoch", [])
    if not steps.empty:
        yield (
            "Validation accuracy (%) on these images if inference stopped on its way, after the last epoch, means over "
            "seeds. The noise is another draw than that behind the accuracies above."
        )
        yield steps_table(steps)
        yield from drawn.get("accuracy-by-step", [])
        yield "\n".join(f"- {sentence}" for sentence in _when_decided(steps))


def _but(blocks: pd.DataFrame) -> str:
    """What to add where a method's blocks are trained on something else."""
    others = methods_in(blocks[~blocks["is_own_task"]])
    return f" (not those of {codes(others)}, which learn from what inference gives them)" if others else ""


def _from_the_image(blocks: pd.DataFrame) -> Iterator[str]:
    means = blocks.groupby(["method", "time"])["image_accuracy"].mean()
    for method in methods_in(blocks):
        curve = means[method]
        first, last = number(float(curve.iloc[0]), decimals=2), number(float(curve.iloc[-1]), decimals=2)
        yield (
            f"Given the image and pure noise, {code(method)} is right on {first}% of the images at time "
            f"{curve.index[0]:.3g} and on {last}% at time {curve.index[-1]:.3g}."
        )


def _when_decided(steps: pd.DataFrame) -> Iterator[str]:
    means = steps.groupby(["method", "time"])["accuracy"].mean()
    for method in methods_in(steps):
        curve = means[method]
        final = float(curve.iloc[-1])
        far = curve.index[(curve - final).abs() > NEAR_THE_END]
        first = curve.index[0] if far.empty else curve.index[curve.index > far[-1]][0]
        position = int(curve.index.get_loc(first))
        yield (
            f"{code(method)} is within {NEAR_THE_END} points of its final {number(final, decimals=2)}% from time "
            f"{first:.3g} on (step {position} of the {len(curve) - 1} shown)."
        )


def _small(value: float) -> str:
    """Three digits, however small: `0.000341`, `3.41e-05`."""
    return f"{value:.3g}" if abs(value) < 1000 else number(value)
