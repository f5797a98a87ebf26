"""What each block has learned, from the diagnostics in the results: frames, tables and the words around them."""

from __future__ import annotations

import pandas as pd

from reports.formats.markdown import MISSING, Markdown, alike, code, markdown_table, number, plural
from reports.formats.prose import prose
from reports.statistics.diagnostics import block_frame, looks, methods_in, step_frame
from reports.view import DatasetView, RunView

NEAR_THE_END = 0.5
"""Percentage points within which an accuracy counts as the final one."""
MAX_TIMES = 11
"""Columns of times in one table."""
TEXT = """
### What each block learns

Measured on {{ images }} validation images after each evaluated epoch. This is not part of training, of the times above,
or of any choice.

{{ figures["blocks"] }}

{% if tables %}*Own task*: the class of a block's estimate given the image and the true label noised to the block's
level, which is what blocks are trained on
{%- if others %} (not those of {{ others | codes }}, which learn from what inference gives them){% endif %}. A late
block gets almost the label itself, so high accuracy says little there. *Image and pure noise*: the same with noise in
place of the noised label, so that only the image can tell; a late block has never seen so much noise, and may fail at
this and still serve its purpose. *Denoising error*: the mean squared distance of the estimate from the label's
embedding on the block's own task, divided by the mean squared length of embeddings: 0 is perfect, 1 is an answer of
zero. A method with one network for all times is shown at some of them.

{{ from_image | bullets }}

{{ tables }}

{{ figures["blocks-by-epoch"] }}{% endif %}

{% if steps %}Validation accuracy (%) on these images if inference is stopped early, after the last epoch, means over
seeds. The noise is drawn separately from that behind the accuracies above.

{{ steps }}

{{ figures["accuracy-by-step"] }}

{{ decided | bullets }}{% endif %}
"""


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


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """Tables, figures and sentences; None if no method was looked at after the last epoch."""
    blocks, steps = block_frame(data, only_last=True), step_frame(data)
    if blocks.empty and steps.empty:
        return None
    images = sorted({found.images for *_, found in looks(data)})
    tables = []
    for method in methods_in(blocks):
        rows = blocks[blocks["method"] == method]
        seeds = plural(rows["seed"].nunique(), "seed")
        tables.append(f"{code(method)} after the last epoch, means over {seeds}:\n\n{blocks_table(rows)}")
    return prose(
        TEXT,
        images=" or ".join(f"{count:,}" for count in images),
        figures={name: data.figures.get(name, "") for name in ("blocks", "blocks-by-epoch", "accuracy-by-step")},
        others=methods_in(blocks[~blocks["is_own_task"]]) if not blocks.empty else [],
        from_image=_from_the_image(blocks) if not blocks.empty else [],
        tables="\n\n".join(tables),
        steps="" if steps.empty else steps_table(steps),
        decided=[] if steps.empty else _when_decided(steps),
    )


def _from_the_image(blocks: pd.DataFrame) -> list[str]:
    means = blocks.groupby(["method", "time"])["image_accuracy"].mean()
    sentences = []
    for method in methods_in(blocks):
        curve = means[method]
        first, last = number(float(curve.iloc[0]), decimals=2), number(float(curve.iloc[-1]), decimals=2)
        sentences.append(
            f"Given the image and pure noise, {code(method)} classifies {first}% of the images correctly at time "
            f"{curve.index[0]:.3g} and {last}% at time {curve.index[-1]:.3g}."
        )
    return sentences


def _when_decided(steps: pd.DataFrame) -> list[str]:
    means = steps.groupby(["method", "time"])["accuracy"].mean()
    sentences = []
    for method in methods_in(steps):
        curve = means[method]
        final = float(curve.iloc[-1])
        far = curve.index[(curve - final).abs() > NEAR_THE_END]
        first = curve.index[0] if far.empty else curve.index[curve.index > far[-1]][0]
        position = int(curve.index.get_loc(first))
        sentences.append(
            f"{code(method)} is within {NEAR_THE_END} points of its final {number(final, decimals=2)}% from time "
            f"{first:.3g} on (step {position} of the {len(curve) - 1} shown)."
        )
    return sentences
