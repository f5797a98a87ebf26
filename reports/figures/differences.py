"""The answer as one picture: each method against the reference in accuracy, time and memory, with its intervals."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from reports.figures import style
from reports.figures.figure import Figure, Words
from reports.figures.labels import folded
from reports.formats.markdown import capital, listed, number, plural
from reports.statistics.effect import Basis, Verdict
from reports.statistics.questions import Judged, Row, findings
from reports.view import DatasetView

ACCURACY, TIME, MEMORY = "accuracy", "time", "memory"
VALUE, LOW, HIGH = "value", "interval_low", "interval_high"
MARGIN_COLOR = "#d6deea"
ASINH_FROM = 10.0
"""Points: from differences that large on, the axis of accuracy is logarithmic beyond a few points."""
BEYOND = 0.6
"""An interval may reach that far beyond the outermost marks, as a fraction of the distance between them."""
MAX_EXPONENT = 700.0


class _Scale(NamedTuple):
    """The x axis of a panel: `linear`, `log`, or `asinh`, which is linear to some points from 0 and log beyond."""

    kind: str
    linear: float = 1.0

    def place(self, values: np.ndarray) -> np.ndarray:
        """Values as lengths along the axis."""
        if self.kind == "linear":
            return values
        return np.asarray(np.log(values) if self.kind == "log" else np.arcsinh(values / self.linear))

    def reaches(self, value: float) -> bool:
        """Whether the axis has a place for a value: a logarithmic one has none for 0 and infinity."""
        return self.kind != "log" or 0 < value < math.inf

    def value(self, place: float) -> float:
        """The value at a length."""
        if self.kind == "log":
            return math.exp(place)
        return place if self.kind == "linear" else self.linear * math.sinh(place)


class Differences(Figure[DatasetView]):
    """A forest plot: a row per method, by family; a panel for each question that has an answer."""

    name = "differences"
    legend = None
    share = "y"

    def frame(self, data: DatasetView) -> pd.DataFrame | None:
        rows = [mark for row in _rows(data)[: style.MAX_DRAWN] for mark in _marks(row, data)]
        columns = ["method", "family", "question", VALUE, LOW, HIGH, "verdict", "margin_low", "margin_high"]
        frame = pd.DataFrame(rows, columns=[*columns, "reference", "measure"])
        order = [method for group in findings(data).grouped(data).values() for method in group]
        by_question = {name: index for index, name in enumerate((ACCURACY, TIME, MEMORY))}
        ranks = frame["method"].map(order.index), frame["question"].map(by_question)
        return frame.assign(row=ranks[0], panel=ranks[1]).sort_values(["panel", "row"]).drop(columns=["row", "panel"])

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        lines = len(_places(frame)[1]) + sum(folded(method).count("\n") for method in frame["method"].unique())
        return 1, frame["question"].nunique(), 1.2 + 0.23 * max(lines, 3)

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: style.Styles) -> None:
        places, ticks = _places(frame)
        for panel, (question, rows) in zip(axes, frame.groupby("question", sort=False), strict=True):
            _draw_panel(panel, rows, places, styles)
            panel.set_title(style.wrapped(capital(str(rows["measure"].iloc[0])), len(axes)))
            label = "difference (points), better →" if question == ACCURACY else "ratio, ← better"
            panel.set_xlabel(label, fontsize="small")
            panel.tick_params(axis="x", labelsize="small")
            panel.yaxis.grid(visible=False)
        axes[0].set_ylim(len(ticks) - 0.4, -0.6)
        axes[0].set_yticks(range(len(ticks)), [folded(tick) for tick in ticks], fontsize="small")
        for place, tick in enumerate(axes[0].get_yticklabels()):
            tick.set_fontweight("normal" if place in places.values() else "bold")
        figure = axes[0].figure
        figure.legend(handles=_key(frame), loc="outside lower center", ncols=5, frameon=False, fontsize="small")

    def words(self, frame: pd.DataFrame, data: DatasetView) -> Words:
        rows = {method: rows.set_index("question")[VALUE] for method, rows in frame.groupby("method", sort=False)}
        measures = dict(zip(frame["question"], frame["measure"], strict=True))
        said = "; ".join(f"{method!s} {_in_words(values, measures)}" for method, values in rows.items())
        left_out = len(_rows(data)) - len(rows)
        bars = frame[frame[LOW] < frame[HIGH]]["question"].unique()
        text = f"Every method against `{data.reference}` (the line at 0 and at 1). "
        if len(bars):
            text += f"Bars: 95% intervals of {listed(list(bars))}, each for its own method"
            text += f"; of accuracy over {_basis(data)}. " if ACCURACY in bars and _basis(data) else ". "
        counted = any(row.memory and row.memory.effect.basis is Basis.COUNTED for row in _rows(data))
        text += "Memory is counted, so it has no bars. " if counted else ""
        text += "Grey: no difference that counts. Filled: decided for all methods of the panel together; hollow: not."
        if _scale(frame[frame["question"] == ACCURACY]).kind == "asinh":
            text += " Points beyond the first few are on a logarithmic axis."
        if not frame[frame["question"] != ACCURACY][VALUE].map(_Scale("log").reaches).all():
            text += (
                " A triangle on a panel's edge: no place on its logarithmic axis, 0 to the left, infinity to the right."
            )
        if left_out:
            text += f" {plural(left_out, 'method')} left out, the least accurate of each family; the table has all."
        return Words(
            f"Forest plot of {listed(list(measures.values()))} against {data.reference} on {data.name}. {said}.", text
        )


def _rows(data: DatasetView) -> list[Row]:
    """Methods with an answer: each family's most accurate, then each one's second, and so on."""
    found = findings(data)
    rank = {method: place for group in found.grouped(data).values() for place, method in enumerate(group)}
    answered = [row for row in found.rows if row.accuracy or row.time or row.memory]
    return sorted(answered, key=lambda row: rank[row.method])


def _marks(row: Row, data: DatasetView) -> Iterator[tuple[object, ...]]:
    found, margins = findings(data), data.margins
    time = "time per step" if found.raced else "training time"
    who = (row.method, data.families[row.method].value)
    if row.accuracy:
        ends = _ends(row.accuracy)
        low, high = (max(ends[0], -100.0), min(ends[1], 100.0))
        width = margins.accuracy_points
        mark = (row.accuracy.effect.value, low, high, row.accuracy.verdict.value, -width, width)
        yield *who, ACCURACY, *mark, data.reference, "test accuracy"
    for question, judged, measure, width in (
        (TIME, row.time, time, margins.time),
        (MEMORY, row.memory, found.memory.name, margins.memory),
    ):
        if judged:
            low, high = (
                math.exp(min(max(end, -MAX_EXPONENT), MAX_EXPONENT) if math.isfinite(end) else end)
                for end in _ends(judged)
            )
            mark = (judged.ratio, low, high, judged.verdict.value, 1 / (1 + width), 1 + width)
            yield *who, question, *mark, data.reference, measure


def _ends(judged: Judged) -> tuple[float, float]:
    interval = judged.effect.alone
    return (math.nan, math.nan) if interval is None else (interval.low, interval.high)


def _places(frame: pd.DataFrame) -> tuple[dict[str, int], list[str]]:
    """The row of each method, and what is written beside the rows: families above their methods."""
    families = frame.groupby("family", sort=False)["method"].unique()
    places: dict[str, int] = {}
    ticks: list[str] = []
    for family in dict.fromkeys([*(f.value for f in style.PALETTES), *families.index]):
        if family not in families:
            continue
        if len(families) > 1:
            ticks.append(str(family))
        for method in families[family]:
            places[str(method)] = len(ticks)
            ticks.append(str(method))
    return places, ticks


def _scale(rows: pd.DataFrame) -> _Scale:
    if rows.empty or rows["question"].iloc[0] != ACCURACY:
        return _Scale("log")
    if rows[VALUE].abs().max() < ASINH_FROM:
        return _Scale("linear")
    return _Scale("asinh", max(2 * float(rows["margin_high"].iloc[0]), 0.5))


def _draw_panel(panel: Axes, rows: pd.DataFrame, places: dict[str, int], styles: style.Styles) -> None:
    scale = _scale(rows)
    margin = rows["margin_low"].iloc[0], rows["margin_high"].iloc[0]
    low, high = _limits(rows, scale)
    panel.axvspan(*margin, color=MARGIN_COLOR, lw=0, zorder=0.5)
    panel.axvline(1.0 if scale.kind == "log" else 0.0, color=style.REFERENCE_COLOR, lw=1.2, zorder=1)
    _set_axis(panel, scale, low, high)
    columns = [rows[column].tolist() for column in ("method", VALUE, LOW, HIGH, "verdict")]
    for method, value, begin, end, verdict in zip(*columns, strict=True):
        y, color = places[method], styles[method].color
        if begin < end:
            panel.hlines(y, max(begin, low), min(end, high), colors=color, linewidths=1.8, zorder=2)
            for is_beyond, edge, marker in ((begin < low, low, "<"), (end > high, high, ">")):
                if is_beyond:
                    panel.plot(edge, y, marker=marker, color=color, markersize=7, clip_on=False, zorder=3)
        decided = verdict != Verdict.UNDECIDED
        marker = "D" if verdict == Verdict.EQUIVALENT else "o"
        face = color if decided else "white"
        look: dict[str, Any] = {"mfc": face, "mec": color, "mew": 1.5, "markersize": 6.0 if marker == "D" else 7.0}
        if scale.reaches(value):
            panel.plot(value, y, marker=marker, zorder=4, **look)
        else:
            edge, marker = (high, ">") if value > 0 else (low, "<")
            panel.plot(edge, y, marker=marker, zorder=4, clip_on=False, **look)


def _limits(rows: pd.DataFrame, scale: _Scale) -> tuple[float, float]:
    """The ends of the axis: all marks and the margin, and intervals as far as they do not press the marks together."""
    shown = rows[rows[VALUE].map(scale.reaches)]
    marks = [*shown[VALUE], rows["margin_low"].iloc[0], rows["margin_high"].iloc[0]]
    at = scale.place(np.array(marks, dtype=float))
    width = at.max() - at.min()
    room = max(BEYOND * width, 2 * (at[-1] - at[-2]))
    ends = scale.place(shown[[LOW, HIGH]].to_numpy(dtype=float))
    low = max(min(at.min(), np.nanmin(ends, initial=np.inf)), at.min() - room)
    high = min(max(at.max(), np.nanmax(ends, initial=-np.inf)), at.max() + room)
    space = 0.06 * (high - low)
    return scale.value(low - space), scale.value(high + space)


def _set_axis(panel: Axes, scale: _Scale, low: float, high: float) -> None:
    if scale.kind == "log":
        panel.set_xscale("log")
        wide = high / low
        panel.xaxis.set_major_locator(
            MaxNLocator(5, steps=[1, 2, 5, 10])
            if wide < 3
            else LogLocator(subs=(1.0, 2.0, 5.0) if wide < 30 else (1.0, 3.0) if wide < 300 else (1.0,))
        )
        style.plain_numbers(panel.xaxis)
    else:
        if scale.kind == "linear":
            panel.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        else:
            panel.set_xscale("asinh", linear_width=scale.linear)
            sizes = [size * scale.linear for size in (2, 10, 50)]
            ticks = sorted([0.0, *sizes, *(-size for size in sizes)])
            panel.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
        panel.xaxis.set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0")
        )
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlim(low, high)


def _key(frame: pd.DataFrame) -> list[Line2D | Patch]:
    """What the marks mean; only those that are there."""
    common: dict[str, Any] = {"color": "0.3", "linestyle": "", "markeredgewidth": 1.5}
    verdicts = set(frame["verdict"])
    key: list[Line2D | Patch] = []
    if verdicts & {Verdict.BETTER, Verdict.WORSE}:
        key.append(Line2D([], [], marker="o", markersize=7, label="better or worse", **common))
    if Verdict.EQUIVALENT in verdicts:
        key.append(Line2D([], [], marker="D", markersize=6, label="equivalent", **common))
    if Verdict.UNDECIDED in verdicts:
        key.append(Line2D([], [], marker="o", markersize=7, markerfacecolor="white", label="undecided", **common))
    line = Line2D([], [], color=style.REFERENCE_COLOR, lw=1.2, label=folded(str(frame["reference"].iloc[0])))
    return [*key, line, Patch(color=MARGIN_COLOR, label="no difference that counts")]


def _in_words(values: pd.Series, measures: dict[str, str]) -> str:
    parts = [f"{number(values[ACCURACY], decimals=2, signed=True)} points"] if ACCURACY in values else []
    parts += [f"{number(values[each])} times the {measures[each]}" for each in (TIME, MEMORY) if each in values]
    return ", ".join(parts)


def _basis(data: DatasetView) -> str:
    """What the intervals of accuracy cover; empty if not all of them cover the same."""
    found = {row.accuracy.effect.basis.value for row in _rows(data) if row.accuracy and row.accuracy.effect.alone}
    return found.pop() if len(found) == 1 else ""
