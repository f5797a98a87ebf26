"""The section on cells that several processes trained together, and how to get what that gains."""

from __future__ import annotations

from collections.abc import Iterator

from reports.formats.markdown import MISSING, code, exact, markdown_table, plus_minus
from reports.statistics.estimates import estimate
from reports.statistics.measures import MIB, TRAIN_SECONDS, Measure
from reports.view import DatasetView

_EXCHANGED = (
    Measure("exchanged in training, MiB", "bytes_exchanged_training", MIB, exact=True),
    Measure("sent for evaluation, MiB", "bytes_exchanged_evaluation", MIB, exact=True),
)


def section(data: DatasetView) -> Iterator[str]:
    """A table, and what is in its figures, as Markdown blocks; nothing where every cell was trained by one process."""
    ranks = sorted({cell.world_size for cell in data.cells})
    if not any(size > 1 for size in ranks):
        return
    yield "### Ranks and what they exchange"
    rows = []
    for method in data.drawn:
        cells = data.finished[method]
        sizes = sorted({cell.world_size for cell in cells})
        seconds = estimate(TRAIN_SECONDS.values(cells).values())
        row = [code(method), str(len(cells)), ", ".join(map(str, sizes))]
        row.append(plus_minus(seconds, expected=len(cells)) if seconds else MISSING)
        rows.append([*row, *(exact(measure.values(cells).values()) for measure in _EXCHANGED)])
    headers = ["method", "seeds", "ranks", TRAIN_SECONDS.header, *(measure.header for measure in _EXCHANGED)]
    yield markdown_table(headers, rows)
    yield (
        "Ranks are processes that trained a cell together, each with the cell's number of threads. A method whose "
        "blocks train apart is divided among them; any other is replicated, each batch is divided, and gradients are "
        "averaged (DistributedDataParallel), so that its batch norm sees a rank's part of the batch. *Exchanged in "
        "training* are the bytes of gradients that ranks handed over to be averaged, all ranks together. *Sent for "
        "evaluation* is what the other ranks sent to rank 0 for each evaluation, outside the training clock. Training "
        "seconds are those of each epoch's slowest rank; resident, GPU and optimiser memory, in the tables above, "
        "those of the rank that has most; activations those of one process on a whole batch."
    )
    yield (
        "What the ranks gain is not in this run, since each of its cells ran once: run the same command with "
        "`--nproc-per-node 1`, and `python -m bench.compare ONE_RANK SEVERAL_RANKS` gives the speed-up, and the "
        f"efficiency, which is that over the number of ranks ({', '.join(map(str, ranks))} here)."
    )
