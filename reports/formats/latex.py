"""The main tables of the report for a paper: `tables.tex`, from the same rows as those of `report.md`."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping

import pandas as pd

from reports.formats.markdown import plural, ranges
from reports.statistics.estimates import BOOTSTRAP_FROM
from reports.statistics.measures import ACTIVATIONS, GPU_ALLOCATED, RSS_RISE, TEST_ACCURACY, TRAIN_SECONDS
from reports.tables import RATIOS, MethodTable, compared, summary
from reports.view import DatasetView, RunView

RESULTS = (TEST_ACCURACY, TRAIN_SECONDS, RSS_RISE, ACTIVATIONS, GPU_ALLOCATED)
COMPARED = tuple(column for column in RATIOS if column[0] in (TRAIN_SECONDS, RSS_RISE, ACTIVATIONS, GPU_ALLOCATED))
HEADER_WIDTH = 14
"""Characters in a line of a header, so that a table fits the width of most pages."""
_ESCAPED = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{char: rf"\{char}" for char in "_%&#${}"},
        "±": r"$\pm$",
        "×": r"$\times$",
        "−": "$-$",
        "–": "--",
    }
)
_NARROW = r"\footnotesize\setlength{\tabcolsep}{4pt}"
_AT_MOST_THE_PAGE = r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%"
"""Where it does not, with long labels, it is made smaller."""
_PREAMBLE = """\
% The main tables of run {run}, from the same rows as those of report.md.
% They need the packages booktabs and graphicx. A whole document:
%   \\documentclass{{article}}
%   \\usepackage[T1]{{fontenc}}
%   \\usepackage{{booktabs,graphicx}}
%   \\begin{{document}}
%   \\input{{tables}}
%   \\end{{document}}
"""


def latex_tables(view: RunView, names: Mapping[str, str]) -> str:
    """For each data set a table of accuracy, time and memory by method, and one of the comparison with backprop.

    Args:
        view: the run.
        names: of the data sets in the tables' labels, `tab:<name>` and `tab:<name>-ratios`.
    """
    preamble = _PREAMBLE.format(run=" ".join(view.record.run_id.split()))
    return "\n".join([preamble, *(table for data in view.datasets for table in _tables(data, view, names[data.name]))])


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return text.translate(_ESCAPED)


def _tables(data: DatasetView, view: RunView, name: str) -> Iterator[str]:
    if not data.drawn:
        return
    seeds = sorted({cell.seed for cell in data.cells})
    over = f"{plural(len(seeds), 'seed')} ({ranges(seeds)})"
    interval = f"a 95% interval (Student t; from {BOOTSTRAP_FROM} seeds on the studentised bootstrap)"
    yield _table(
        summary(data, RESULTS),
        f"Results on {data.name} over {over}: means ± half of {interval}; a single seed has none. Accuracy is that "
        "after the last epoch, time that of the training loop alone. Rise over baseline: the peak of resident memory "
        "minus what the process held before the model was built. Activations are counted exactly. "
        "A dash: not measured.",
        f"tab:{name}",
    )
    table = None if view.record.purpose == "calibration" else compared(data, COMPARED)
    if table is not None:
        yield _table(
            table,
            f"Every method on {data.name} against {data.reference} on the same seeds, over {over}. Accuracy: mean "
            f"difference in percentage points ± half of {interval}. Ratios: geometric means with the same interval in "
            "brackets; what is counted exactly has none.",
            f"tab:{name}-ratios",
        )


def _table(table: MethodTable, caption: str, label: str) -> str:
    rows = [[rf"\texttt{{{escaped(method)}}}", *map(escaped, entries)] for method, *entries in table.rows]
    frame = pd.DataFrame(rows, columns=[_stacked(header) for header in table.headers])
    text = frame.style.hide(axis="index").to_latex(
        column_format="l" + "r" * (len(table.headers) - 1),
        position="htbp",
        position_float="centering",
        hrules=True,
        caption=escaped(caption),
        label=label,
    )
    begin, end = r"\begin{tabular}", r"\end{tabular}"
    text = text.replace(begin, f"{_AT_MOST_THE_PAGE}\n{begin}").replace(end, f"{end}}}")
    return text.replace("\\centering\n", f"\\centering\n{_NARROW}\n")


def _stacked(header: str) -> str:
    """A header on as many lines as it needs."""
    lines = textwrap.wrap(header, HEADER_WIDTH)
    return r"\shortstack[r]{" + r"\\".join(map(escaped, lines)) + "}" if len(lines) > 1 else escaped(header)
