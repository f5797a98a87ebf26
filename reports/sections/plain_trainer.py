"""Against a plain trainer: how fast the project's own code is, where the session of microbenchmarks has timed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reports.formats.markdown import Markdown, code, markdown_table, number, plural
from reports.formats.prose import prose
from reports.view import RunView
from results.microbenchmarks import BoundRatio, Measurement, Ratio

PAIR = ("noprop", "backprop")
"""The two methods whose gains are compared with one another."""
TEXT = """
### Against a plain trainer

{{ table }}

{% if epoch %}Below 1 is faster than the plain trainer, which trains the same network with the same losses, batches and
optimiser settings in the usual way: default memory layout, ReLU before pooling, a `DataLoader` whose worker processes
turn images into floats, one AdamW that is not fused, the gradient's norm clipped over the whole model, one backward
pass of all losses. Each of our calls is divided by the mean of the plain trainer's calls just before and after it; the
table has the median over these pairs with the interquartile range (IQR) in brackets. An epoch is
{{ epoch.steps | plural("training step") }} on {{ batch | plural("image") }}; after it the harness evaluates
{{ epoch.evaluated | plural("image") }}, a validation and a test part in MNIST's proportions, and the plain trainer
{{ "{:,}".format(epoch.reference_evaluated) }}, the training images too. So a method's first row includes work that the
harness leaves out; in the second row that is only the clipping.{% endif %}

{% if mixed %}In the rows `bfloat16` our forward passes run in mixed precision, as with `--amp`; the plain trainer
computes in float32 in every row. So part of the gain in those rows comes from different arithmetic; how much depends on
the hardware's support for bfloat16.{% endif %}

{{ gains }}

{% if blocks %}A block's operations are those of its convolutions and matrix products as PyTorch counts them
({{ blocks | listed }}). The bound is the time they would take at the speed of a float32 product of two
matrices of {{ size }} × {{ size }} on the same threads, {{ speeds | listed }} GFLOP/s, timed just before and after.
Whatever is above 1 goes to pooling, normalisation, dropout and losses, which take time and count no operations, and to
convolutions that do not reach the product's speed.{% endif %}
"""


def section(run: RunView) -> Markdown | None:
    """The ratios, what they are of, and which of the two methods gains more; None where none was timed."""
    measured = [each.extra_info for each in run.microbenchmarks.benchmarks] if run.microbenchmarks else []
    epochs = [(each, each.reference) for each in measured if each.reference is not None]
    bounds = [(each, each.bound) for each in measured if each.bound is not None]
    if not epochs and not bounds:
        return None
    rows = []
    for each, found in epochs:
        rows.append(_row(each, "an epoch's training and evaluation", "the plain trainer's", found.epoch))
        rows.append(_row(each, "an epoch's training", "the plain trainer's", found.training))
    for each, bound in bounds:
        speed = "its operations at a matrix product's speed"
        rows.append(_row(each, "a block's forward and backward pass", speed, bound.step))
    headers = ["method", "precision", "image", "call", "compared with", "times as long (IQR)", "pairs"]
    trained = [{each.method: found.training for each, found in epochs if each.amp == amp} for amp in (False, True)]
    return prose(
        TEXT,
        table=markdown_table(headers, rows, text_columns=5),
        epoch=epochs[0][1] if epochs else None,
        batch=epochs[0][0].batch_size if epochs else 0,
        mixed=any(each.amp for each, _ in epochs),
        gains="\n\n".join(_gain(each, ", both in bfloat16" if k else "") for k, each in enumerate(trained)),
        **_bound(bounds),
    )


def _row(measured: Measurement, call: str, compared_with: str, ratio: Ratio) -> list[str]:
    size = " × ".join(map(str, measured.shape))
    times = f"{number(ratio.median, decimals=3)} ({number(ratio.iqr, decimals=3)})"
    precision = "bfloat16" if measured.amp else "float32"
    return [code(measured.method), precision, size, call, compared_with, times, str(ratio.pairs)]


def _gain(training: Mapping[str, Ratio], in_what: str) -> str:
    """Whether what is faster here favours one of the two methods whose training times the report compares."""
    if not all(name in training for name in PAIR):
        return ""
    noprop, backprop = (training[name] for name in PAIR)
    given = (
        f"({number(backprop.median, decimals=3)} of the plain trainer's training time for `backprop`, "
        f"{number(noprop.median, decimals=3)} for `noprop`{in_what})"
    )
    if abs(noprop.median - backprop.median) <= max(noprop.iqr, backprop.iqr):
        return (
            f"`backprop` and `noprop` gain equally {given}, as far as the spread over the pairs can tell: the "
            "implementation favours neither of them."
        )
    if backprop.median < noprop.median:
        return (
            f"`backprop` gains more than `noprop` {given}: the implementation does not favour `noprop` in the "
            "comparison of the two."
        )
    return (
        f"`noprop` gains more than `backprop` {given}: **part of the difference between their training times comes "
        "from the implementation** and would be different with a plain trainer."
    )


def _bound(bounds: Sequence[tuple[Measurement, BoundRatio]]) -> dict[str, object]:
    blocks = [
        f"{number(found.flops / 1e9)} GFLOP for a batch of {plural(measured.batch_size, 'image')} with "
        f"{code(measured.method)}"
        for measured, found in bounds
    ]
    return {
        "blocks": list(dict.fromkeys(blocks)),
        "size": f"{bounds[0][1].size:,}" if bounds else "",
        "speeds": list(dict.fromkeys(number(found.flops_per_second / 1e9) for _, found in bounds)),
    }
