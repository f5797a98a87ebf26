"""How numbers and tables look in Markdown."""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Collection, Container, Iterable, Sequence
from typing import Any
from urllib.parse import quote

from tabulate import tabulate

from reports.statistics.estimates import Estimate, RatioEstimate

Markdown = str
MISSING = "–"
ONE_SEED = " (one seed)"
FIGURES_FOLDER = "figures"
"""Of the report's folder."""
FIGURE_FILES = "Each figure is also in `figures/` as SVG, with its data as CSV."
FINGERPRINT_DIGITS = 12
MAX_DECIMALS = 4
MAX_COLUMN_DECIMALS = 6


def number(value: float, significant: int = 3, *, decimals: int | None = None, signed: bool = False) -> str:
    """A number with at least `significant` digits (or just `decimals` decimals) and commas between thousands."""
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    places = _decimals(value, significant) if decimals is None else decimals
    sign = "+" if signed else ""
    return f"{value:{sign},.{places}f}".replace("-", "−")


def plus_minus(
    estimate: Estimate | None, *, decimals: int | None = None, signed: bool = False, expected: int | None = None
) -> str:
    """`mean ± half width`, the mean alone for one seed, and a dash for none.

    Where that would go beyond what is possible, the ends instead: `98.0 (95.1 to 100.0)`.
    An estimate from another number of values than `expected` says so: `12.3 ± 0.4 (n = 2)`.
    """
    if estimate is None:
        return MISSING
    places = _decimals(estimate.mean, 3) if decimals is None else decimals
    if decimals is None and estimate.half_width:
        # An interval narrower than the last digit of its mean would read as ± 0.
        places = max(places, _decimals(estimate.half_width, 1))
    text = number(estimate.mean, decimals=places, signed=signed)
    if estimate.ends is not None and estimate.is_cut:
        low, high = (number(end, decimals=places, signed=signed) for end in estimate.ends)
        text += f" ({low} to {high})"
    elif estimate.half_width is not None:
        text += f" ± {number(estimate.half_width, decimals=places)}"
    if expected is not None and estimate.n != expected:
        text += f" (n = {estimate.n})"
    return text


def times(ratio: RatioEstimate | None, *, decimals: int | None = None, expected: int | None = None) -> str:
    """`mean (low to high)`, the mean alone for one seed, and a dash for none; `expected` as in `plus_minus`."""
    if ratio is None:
        return MISSING
    text = number(ratio.mean, decimals=decimals)
    if ratio.low is not None and ratio.high is not None:
        text += f" ({number(ratio.low, decimals=decimals)} to {number(ratio.high, decimals=decimals)})"
    if expected is not None and ratio.n != expected:
        text += f" (n = {ratio.n})"
    return text


def exact(values: Collection[float], *, decimals: int | None = None) -> str:
    """A quantity that does not vary by chance: one number if all seeds agree, otherwise `least to most`."""
    if not values:
        return MISSING
    places = max(2, _decimals(min(values), 3)) if decimals is None else decimals
    low, high = number(min(values), decimals=places), number(max(values), decimals=places)
    return low if low == high else f"{low} to {high}"


def alike(values: Iterable[float], *, decimals: int | None = None) -> list[str]:
    """Numbers of one column, all in the same form; a dash for NaN.

    By default, with enough decimals to show two digits of the smallest number that is not 0; all as `3.4e-07` if that
    takes more than `MAX_COLUMN_DECIMALS`.
    """
    column = [float(value) for value in values]
    sizes = [abs(value) for value in column if value and math.isfinite(value)]
    places = decimals
    if places is None:
        places = max(0, 1 - math.floor(math.log10(min(sizes)))) if sizes else 0

    def shown(value: float) -> str:
        if math.isnan(value):
            return MISSING
        return number(value, decimals=places) if places <= MAX_COLUMN_DECIMALS else f"{value:.1e}"

    return [shown(value) for value in column]


def code(text: str) -> str:
    """Text as a Markdown code span on one line."""
    return f"`{' '.join(text.split()).replace('`', chr(39))}`"


def codes(texts: Iterable[str]) -> str:
    """Code spans with commas between them."""
    return ", ".join(code(text) for text in texts)


def listed(texts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(texts[:-1]), texts[-1]]) if len(texts) > 1 else "".join(texts)


def few(texts: Sequence[str], most: int) -> str:
    """As `listed`; of more than `most`, the first and how many more."""
    return listed([*texts[: most - 1], f"{len(texts) - most + 1} more"] if len(texts) > most else texts)


def capital(clause: str) -> str:
    """A clause as the beginning of a sentence."""
    return clause[:1].upper() + clause[1:]


def bullets(sentences: Iterable[str]) -> Markdown:
    """A list with a bullet for each sentence."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def plural(count: int, noun: str) -> str:
    """`1 cell`, `2 cells`, `1,000 cells`."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def span(values: Iterable[int]) -> str:
    """`5`, or `5 to 1,000` where they differ."""
    known = sorted(values)
    return f"{known[0]:,}" if known[0] == known[-1] else f"{known[0]:,} to {known[-1]:,}"


def shown(value: Any) -> str:
    """A setting's value as text: words bare, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def setting(field: str, value: Any) -> str:
    """As `shown`, for a field of `CellConfig`."""
    return "all" if field == "train_size" and value is None else shown(value)


def ranges(numbers: Iterable[int]) -> str:
    """`0–4, 7` for 0, 1, 2, 3, 4, 7."""
    spans: list[list[int]] = []
    for value in numbers:
        if spans and value == spans[-1][1] + 1:
            spans[-1][1] = value
        else:
            spans.append([value, value])
    return ", ".join(str(low) if low == high else f"{low}–{high}" for low, high in spans)


def first_free(name: str, taken: Container[str], *, start: int = 2) -> str:
    """The name, or if it is taken, the first free one of `name-2`, `name-3`, ..., from `start` on."""
    numbered = (f"{name}-{number}" for number in itertools.count(start))
    return next(each for each in itertools.chain([name], numbered) if each not in taken)


def commands(lines: Iterable[str]) -> Markdown:
    """Command lines without `--out`: where the results went is nobody else's business."""
    shown = [re.sub(r" --out(=|\s+)('[^']*'|\S)+", "", line.strip()) for line in lines]
    return "```sh\n{}\n```".format("\n".join(shown))


def figure(alt: str, file: str, caption: str) -> Markdown:
    """A figure of the report's folder of figures, and its caption below."""
    text = " ".join(alt.split()).replace("[", "\\[").replace("]", "\\]")
    return f"![{text}]({quote(f'{FIGURES_FOLDER}/{file}')})\n\n*{caption}*"


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, text_columns: int = 1) -> str:
    """A GitHub table: the first `text_columns` columns to the left, the others (numbers) to the right."""
    body = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows]
    align = ["left" if index < text_columns else "right" for index in range(len(headers))]
    return tabulate(body, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def _decimals(value: float, significant: int) -> int:
    if value == 0 or not math.isfinite(value):
        return 0
    rounded = float(f"{value:.{significant - 1}e}")  # 0.9996 to three digits is 1.00, not 1.000
    return min(MAX_DECIMALS, max(0, significant - 1 - math.floor(math.log10(abs(rounded)))))
