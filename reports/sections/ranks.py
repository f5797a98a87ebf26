"""Ranks and what they exchange: cells that several processes trained together."""

from __future__ import annotations

from reports.formats.markdown import Markdown, code, exact, markdown_table, plus_minus
from reports.formats.prose import prose
from reports.statistics.measures import MIB, TRAIN_SECONDS, Measure
from reports.view import DatasetView, RunView

EXCHANGED = (
    Measure("exchanged in training", "MiB", "bytes_exchanged_training", MIB, exact=True),
    Measure("sent for evaluation", "MiB", "bytes_exchanged_evaluation", MIB, exact=True),
)
TEXT = """
### Ranks and what they exchange

{{ table }}

Ranks are processes that trained a cell together, each with the cell's number of threads. Methods whose blocks train
independently are split by blocks. All others are data-parallel (DistributedDataParallel): each rank has the whole model
and a part of each batch, gradients are averaged, and batch norm sees only the rank's part. *Exchanged in training* is
the size of the gradients that all ranks together gave to be averaged. *Sent for evaluation* is what the other ranks
sent to rank 0 for each evaluation, which is not part of the training time. Training time is that of each epoch's
slowest rank. In the tables above, resident, GPU and optimiser memory are those of the rank with the most, and
activation memory is that of one process with the whole batch.

Each cell of this run ran once, so the run cannot show the speed-up: run the same command with `--nproc-per-node 1`,
then `python -m bench.compare ONE_RANK SEVERAL_RANKS` prints the speed-up and the efficiency (speed-up divided by the
number of ranks, here {{ ranks | join(", ") }}).
"""


def section(run: RunView, data: DatasetView) -> Markdown | None:
    """A row for each method; None where one process trained every cell."""
    ranks = sorted({cell.world_size for cell in data.cells})
    if max(ranks, default=1) == 1:
        return None
    rows = []
    for method in data.drawn:
        cells = data.finished[method]
        sizes = ", ".join(map(str, sorted({cell.world_size for cell in cells})))
        seconds = plus_minus(TRAIN_SECONDS.mean(cells), expected=len(cells))
        exchanged = (exact(measure.values(cells).values()) for measure in EXCHANGED)
        rows.append([code(method), str(len(cells)), sizes, seconds, *exchanged])
    headers = ["method", "seeds", "ranks", *(measure.header for measure in (TRAIN_SECONDS, *EXCHANGED))]
    return prose(TEXT, table=markdown_table(headers, rows), ranks=ranks)
