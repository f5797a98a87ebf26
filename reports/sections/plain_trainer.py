"""How fast the project's own code is: its epochs against a plain trainer's, and a block against a matrix product.

Part of the section on microbenchmarks, where the session has timed it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reports.formats.markdown import code, listed, markdown_table, number, plural
from results.microbenchmarks import BoundRatio, Measurement, Microbenchmarks, Ratio, ReferenceRatio

_PAIR = ("noprop", "backprop")
"""The two methods whose gains are held against one another."""


def against_a_plain_trainer(session: Microbenchmarks) -> Iterator[str]:
    """The table of ratios, what they are of, and which of the two methods gains more; nothing where none was timed."""
    measured = [benchmark.extra_info for benchmark in session.benchmarks]
    epochs = [(each, each.reference) for each in measured if each.reference is not None]
    bounds = [(each, each.bound) for each in measured if each.bound is not None]
    if not epochs and not bounds:
        return
    yield "### Against a plain trainer"
    rows = [row for each, found in epochs for row in _epoch_rows(each, found)]
    rows += [
        _row(each, "a block's forward and backward pass", "its operations at a matrix product's speed", found.step)
        for each, found in bounds
    ]
    headers = ["method", "precision", "image", "call", "held against", "times as long (IQR)", "pairs"]
    yield markdown_table(headers, rows, text_columns=5)
    yield from _explained(epochs)
    for amp in (False, True):
        yield from _gains({each.method: found.training for each, found in epochs if each.amp == amp}, amp=amp)
    yield from _bound(bounds)


def _epoch_rows(measured: Measurement, found: ReferenceRatio) -> list[list[str]]:
    return [
        _row(measured, "an epoch's training and evaluation", "the plain trainer's", found.epoch),
        _row(measured, "an epoch's training", "the plain trainer's", found.training),
    ]


def _row(measured: Measurement, call: str, held_against: str, ratio: Ratio) -> list[str]:
    size = " × ".join(map(str, measured.shape))
    times = f"{number(ratio.median, decimals=3)} ({number(ratio.iqr, decimals=3)})"
    precision = "bfloat16" if measured.amp else "float32"
    return [code(measured.method), precision, size, call, held_against, times, str(ratio.pairs)]


def _explained(epochs: Sequence[tuple[Measurement, ReferenceRatio]]) -> Iterator[str]:
    if not epochs:
        return
    measured, found = epochs[0]
    yield (
        "Below 1 is faster than the plain trainer. That is the same network with the same losses, batches and "
        "optimiser settings, done in the usual way: default memory layout, ReLU before pooling, a `DataLoader` whose "
        "worker processes turn images into floats, one AdamW that is not fused, the gradient's norm clipped over the "
        "whole model, one backward pass of all losses. Each of our calls is held against the mean of the plain "
        "trainer's just before and just after it; given is the median over the pairs and, in brackets, the "
        f"interquartile range (IQR) over them. An epoch is {plural(found.steps, 'training step')} on "
        f"{plural(measured.batch_size, 'image')}; after it the harness evaluates {plural(found.evaluated, 'image')}, a "
        f"validation and a test part in MNIST's proportions, the plain trainer {found.reference_evaluated:,}, the "
        "training images too. So the first row of a method holds work that is left out, the second none but the "
        "clipping."
    )
    if any(each.amp for each, _ in epochs):
        yield (
            "In the rows `bfloat16` the forward passes of our calls compute in mixed precision, as with `--amp`; the "
            "plain trainer computes in float32 in every row. So those rows hold a gain that is not the same "
            "arithmetic; how much of it there is depends on what the processor has for bfloat16."
        )


def _gains(training: dict[str, Ratio], *, amp: bool) -> Iterator[str]:
    """Whether what is faster here favours one of the two methods whose training times the report compares."""
    if not all(name in training for name in _PAIR):
        return
    noprop, backprop = (training[name] for name in _PAIR)
    given = (
        f"({number(backprop.median, decimals=3)} of the plain trainer's training time for `backprop`, "
        f"{number(noprop.median, decimals=3)} for `noprop`{', both in bfloat16' if amp else ''})"
    )
    if abs(noprop.median - backprop.median) <= max(noprop.iqr, backprop.iqr):
        yield (
            f"`backprop` and `noprop` gain alike {given}, as far as the spread over the pairs lets one see: the way in "
            "which the work is done favours neither of them."
        )
    elif backprop.median < noprop.median:
        yield (
            f"`backprop` gains more than `noprop` {given}: the way in which the work is done does not favour `noprop` "
            "in the comparison of the two."
        )
    else:
        yield (
            f"`noprop` gains more than `backprop` {given}: **a part of the difference between their training times is "
            "the way in which the work is done here**, and would be another with a plain trainer."
        )


def _bound(bounds: Sequence[tuple[Measurement, BoundRatio]]) -> Iterator[str]:
    if not bounds:
        return
    blocks = dict.fromkeys(
        f"{number(found.flops / 1e9)} GFLOP for a batch of {plural(measured.batch_size, 'image')} with "
        f"{code(measured.method)}"
        for measured, found in bounds
    )
    size = bounds[0][1].size
    speeds = dict.fromkeys(number(found.flops_per_second / 1e9) for _, found in bounds)
    yield (
        f"A block's operations are those of its convolutions and matrix products as PyTorch counts them "
        f"({listed(list(blocks))}). The bound is the time they would take at the speed of a float32 product of two "
        f"matrices of {size:,} × {size:,} on the same threads, {listed(list(speeds))} GFLOP/s, timed just before and "
        "just after. What is above 1 goes to pooling, normalisation, dropout and losses, which take time and count "
        "nothing, and to convolutions that do not reach the product's speed."
    )
