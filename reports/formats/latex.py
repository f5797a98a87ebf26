"""Tables for a paper, in LaTeX."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import pandas as pd

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
PREAMBLE = """\
% The main tables of run {run}, from the same rows as those of report.md.
% They need the packages booktabs and graphicx. A whole document:
%   \\documentclass{{article}}
%   \\usepackage[T1]{{fontenc}}
%   \\usepackage{{booktabs,graphicx}}
%   \\begin{{document}}
%   \\input{{tables}}
%   \\end{{document}}
"""


def escaped(text: str) -> str:
    """Text that LaTeX sets as it is."""
    return text.translate(_ESCAPED)


def latex_table(headers: Sequence[str], rows: Iterable[Sequence[str]], caption: str, label: str) -> str:
    """A floating table; the first column are names."""
    body = [[rf"\texttt{{{escaped(name)}}}", *map(escaped, entries)] for name, *entries in rows]
    frame = pd.DataFrame(body, columns=[_stacked(header) for header in headers])
    text = frame.style.hide(axis="index").to_latex(
        column_format="l" + "r" * (len(headers) - 1),
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
