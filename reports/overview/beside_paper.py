"""Beside the paper: every accuracy of its table 1, what others reproduced, and ours, or why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reports.formats.markdown import MISSING, Markdown, code, listed, markdown_table, number, plus_minus
from reports.formats.prose import prose
from reports.overview.overview import Overview
from reports.overview.pooling import Pool
from reports.published.paper import (
    EMBEDDINGS,
    AccuracyRow,
    DatasetName,
    Embedding,
    paper_dataset,
    paper_embedding,
    published,
    reproductions,
)
from reports.statistics.measures import TEST_ACCURACY
from results.schema import CellResult

NAMES: dict[DatasetName, str] = {"mnist": "MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
HEADERS = ["data set", "the paper's row", "our row", "our budget", "ours, %", "seeds", "the paper's, %"]
HEADERS += ["difference, points", "the paper's epochs", "reproduced, %"]
TEXT = """
{{ figures }} published accuracies: {{ beside }} stand beside rows of ours, the others beside a dash that says why. The
paper's ({{ source }}, table 1) are means of 15 values, 3 seeds × 5 inference runs, with the epochs of its table 3.
{% if cut %}**Where the epochs differ, the difference is that of the budgets, too.**{% endif %} Ours is the mean over
seeds ± half of its 95% interval, after the last epoch. Reproductions have test accuracies
{%- if validation %} ({{ validation | listed }}: validation accuracies){% endif %}; what stands behind ± is theirs.
{% if parts %}Rows trained on a part of the images are left out: {{ parts | listed }}.{% endif %}

{{ table }}
"""


@dataclass(frozen=True, slots=True)
class Beside:
    """A published accuracy and one row of ours; `pool` is None where there is none."""

    dataset: DatasetName
    row: AccuracyRow
    embedding: Embedding | None
    percent: float
    pool: Pool | None = None
    method: str = ""


def beside_paper(overview: Overview) -> Markdown:
    """The table and how to read it."""
    found = list(entries(overview))
    ours = {(each.dataset, each.row.row, each.embedding) for each in found if each.pool is not None}
    others = reproductions()
    return prose(
        TEXT,
        figures=len({(each.dataset, each.row.row, each.embedding) for each in found})
        + sum(len(each.percent) for each in others),
        beside=len(ours)
        + sum((name, _row_of(each.method), each.embedding) in ours for each in others for name in each.percent),
        source=f"{published().source} {published().version}",
        cut=any(each.pool is not None and _epochs(each) not in (None, _own_epochs(each)) for each in found),
        validation=sorted({each.by for each in others if each.what == "validation"}),
        parts=[each.name for each in overview.pools if paper_dataset(each.data.name) and not _is_whole(each)],
        table=markdown_table(HEADERS, [_cells(each, overview) for each in found], text_columns=4),
    )


def entries(overview: Overview) -> Iterator[Beside]:
    """Every accuracy of table 1 with each of our rows beside it, or once without."""
    for name in NAMES:
        for row in published().accuracy:
            for embedding, percents in row.percent.items():
                if name not in percents:
                    continue
                kind = None if embedding == "any" else embedding
                alone = Beside(name, row, kind, percents[name])
                matches = [
                    Beside(name, row, kind, percents[name], each, method)
                    for each in overview.pools
                    if paper_dataset(each.data.name) == name and _is_whole(each)
                    for method, cells in each.data.finished.items()
                    if _matches(row, kind, cells[0])
                ]
                yield from matches or [alone]


def _matches(row: AccuracyRow, embedding: Embedding | None, cell: CellResult) -> bool:
    """Whether a cell is of the paper's method, embedding and, for a stack, depth."""
    if cell.method_name != (row.method or row.here):
        return False
    if row.method is None or embedding is None:
        return True
    training = published().training_of(row.method)
    depth = training.options.get("T") if training else None
    return paper_embedding(cell.config.options) == embedding and cell.config.options.get("T") == depth


def _cells(each: Beside, overview: Overview) -> list[str]:
    words = f"{each.row.row}, {EMBEDDINGS[each.embedding]}" if each.embedding else f"{each.row.row} (quoted)"
    head = [NAMES[each.dataset], words]
    theirs = number(each.percent, decimals=2)
    tail = [str(_epochs(each) or MISSING), _reproduced(each)]
    if each.pool is None:
        return [*head, f"{MISSING} {_why_not(each, overview)}", MISSING, MISSING, MISSING, theirs, MISSING, *tail]
    cells = each.pool.data.finished[each.method]
    ours = TEST_ACCURACY.mean(cells)
    gap = MISSING if ours is None else number(ours.mean - each.percent, decimals=2, signed=True)
    budget = each.pool.label.partition(", ")[2]
    return [*head, code(each.method), budget, plus_minus(ours, decimals=2), str(len(cells)), theirs, gap, *tail]


def _why_not(each: Beside, overview: Overview) -> str:
    name = each.row.method or each.row.here
    if name is None:
        return "no such method here"
    on_data = [pool for pool in overview.pools if paper_dataset(pool.data.name) == each.dataset and _is_whole(pool)]
    if not on_data:
        return f"no rows on {NAMES[each.dataset]}"
    cells = [cell for pool in on_data for cell in pool.data.cells if cell.method_name == name]
    if not cells:
        return f"{code(name)} not run"
    kinds = {kind for cell in cells if (kind := paper_embedding(cell.config.options)) is not None}
    if each.embedding not in kinds:
        return f"{code(name)} run with {listed([EMBEDDINGS[kind] for kind in EMBEDDINGS if kind in kinds])} only"
    return f"{code(name)} run at other depths only"


def _reproduced(each: Beside) -> str:
    said = [
        number(found.percent[each.dataset], decimals=2)
        + (f" ± {number(found.spread[each.dataset], decimals=2)}" if each.dataset in found.spread else "")
        + f" ({found.by.partition('/')[0]})"
        for found in reproductions()
        if found.method == each.row.method and found.embedding == each.embedding and each.dataset in found.percent
    ]
    return "; ".join(said) or MISSING


def _epochs(each: Beside) -> int | None:
    training = published().training_of(each.row.method) if each.row.method else None
    return training.epochs[each.dataset] if training else None


def _own_epochs(each: Beside) -> int | None:
    return each.pool.conditions.by_name["epochs"] if each.pool else None


def _row_of(method: str) -> str | None:
    return published().name_of(method)


def _is_whole(pool: Pool) -> bool:
    return pool.conditions.by_name["train_size"] is None
