"""What each block has learned, from the diagnostics in the results: tables and the words around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from reports.formats.markdown import MISSING, alike, code, codes, markdown_table, number, plural
from reports.statistics.diagnostics import block_frame, looks, methods_in, step_frame
from reports.view import DatasetView

NEAR_THE_END = 0.5
"""Percentage points within which an accuracy counts as the final one."""
MAX_TIMES = 11
"""Columns of times in one table."""


def blocks_table(rows: pd.DataFrame) -> str:
    """Blocks (or times) of one method, means over seeds; rows: of that method, after the last epoch."""
    measured = ["own_accuracy", "image_accuracy", "denoising_error", "snr_weight"]
    means = rows.groupby(["number", "time"], as_index=False)[measured].mean()
    is_stack, has_weights = bool(rows["is_stack"].all()), bool(means["snr_weight"].notna().any())
    columns = [
        *([[f"{each:.0f}" for each in means["number"]]] if is_stack else []),
        *(
            [number(each, decimals=2) for each in means[column]]
            for column in ("time", "own_accuracy", "image_accuracy")
        ),
        alike(means["denoising_error"]),
        *([alike(means["snr_weight"])] if has_weights else []),
    ]
    headers = [
        *(["block"] if is_stack else []),
        "time of the input",
        "own task, %",
        "image and pure noise, %",
        "denoising error",
        *(["weight of its loss"] if has_weights else []),
    ]
    return markdown_table(headers, zip(*columns, strict=True))


def steps_table(rows: pd.DataFrame) -> str:
    """Accuracy if inference stopped at a time, a row a method; means over seeds; rows: a `step_frame`.

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
    blocks, steps = block_frame(data, only_last=True), step_frame(data)
    if blocks.empty and steps.empty:
        return
    images = {found.images for *_, found in looks(data)}
    yield "### What each block learns"
    yield (
        f"Looked at on {' or '.join(f'{count:,}' for count in sorted(images))} validation images after each evaluated "
        "epoch. It takes no part in training, in the times above, or in choosing anything."
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
