"""The one figure: what accuracy costs, every method of every comparison against its reference."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullLocator

from reports.figures import style
from reports.figures.figure import Figure, Words
from reports.formats.markdown import number
from reports.overview.overview import CHECKPOINT, CNN, ENSEMBLE, Overview, chain, control, one_block
from reports.overview.pooling import Pool
from reports.view import Family

LINEAR = 0.5
"""Points up to which the axis of accuracy is linear; beyond, logarithmic."""
TICKS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
COSTS = {"time": "time of a training step", "memory": "activation memory"}
CHAIN_ROLE, OTHER_ROLE = "chain of NoProp", "other"
ROLES = {
    CHAIN_ROLE: ("o", Family.NOPROP),
    "one block of it": ("^", Family.NOPROP),
    "independent classifiers, averaged": ("s", Family.BACKPROP),
    "one plain CNN": ("D", Family.BACKPROP),
    "backprop with checkpointing": ("v", Family.BACKPROP),
}
"""The methods that the questions are about: marker and family."""
DIFFERENCE, RATIO = "difference_points", "cost_ratio"


class CostOfAccuracy(Figure[Overview]):
    """A panel for each cost: accuracy upwards, cost to the right, the reference where the lines cross."""

    name = "overview"
    legend = None
    share = "y"

    def frame(self, source: Overview) -> pd.DataFrame:
        """A row for each method of a comparison and each of its costs; a data set's main comparisons have a number."""
        main = [each for each in source.comparisons if each in source.main]
        numbers = {each.label: place for place, each in enumerate(main, 1)}
        rows = [mark for each in source.comparisons for mark in _marks(numbers.get(each.label, 0), each)]
        columns = ["number", "comparison", "method", "family", "role", "cost", RATIO, "cost_low", "cost_high"]
        columns += [DIFFERENCE, "difference_low", "difference_high", "verdict"]
        return pd.DataFrame(rows, columns=columns).sort_values("cost", ascending=False, kind="stable")

    def layout(self, frame: pd.DataFrame) -> tuple[int, int, float]:
        """The panels side by side, with room for the key below them."""
        return 1, frame["cost"].nunique(), 4.6 + 0.21 * max(len(ROLES) + 2, frame["number"].nunique())

    def draw(self, frame: pd.DataFrame, axes: Sequence[Axes], styles: style.Styles) -> None:
        """Methods that the questions are about have their comparison's number; all else is small and pale."""
        low = _lowest(frame)
        for panel, (cost, rows) in zip(axes, frame.groupby("cost", sort=False), strict=True):
            panel.axhline(0, color=style.REFERENCE_COLOR, lw=1.0, zorder=1)
            panel.axvline(1, color=style.REFERENCE_COLOR, lw=1.0, zorder=1)
            panel.set_xscale("log")
            panel.set_yscale("asinh", linear_width=LINEAR)
            ends = _cost_axis(panel, rows, str(cost))
            rows = rows.assign(**{RATIO: rows[RATIO].clip(*ends)})
            for family, part in rows[~_is_marked(rows)].groupby("family", sort=False):
                color = style.PALETTES[Family(str(family))][0]
                inside = part[part[DIFFERENCE] >= low]
                panel.scatter(inside[RATIO], inside[DIFFERENCE], s=16, c=color, alpha=0.45, lw=0, zorder=2)
                below = part[part[DIFFERENCE] < low][RATIO]
                edge: dict[str, Any] = {"transform": panel.get_xaxis_transform(), "marker": "v", "clip_on": False}
                panel.scatter(below, [0.012] * len(below), s=16, c=color, alpha=0.45, lw=0, **edge)
            sides = itertools.cycle(((6, 2, "left"), (-6, 2, "right")))
            mains = rows[_is_marked(rows)].sort_values([DIFFERENCE, "number"])
            for place, role, x, y in mains[["number", "role", RATIO, DIFFERENCE]].itertuples(index=False):
                marker, family = ROLES[role]
                color = style.PALETTES[family][0]
                panel.plot(x, y, marker=marker, ms=7, mew=0.8, mec="white", mfc=color, zorder=4)
                right, up, side = next(sides)
                at: dict[str, Any] = {"ha": side, "fontsize": 7.5, "color": color, "zorder": 5}
                panel.annotate(str(place), (x, y), (right, up), textcoords="offset points", **at)
        axes[0].set_ylabel("difference in test accuracy (points, better ↑)", fontsize="small")
        _accuracy_axis(axes[0], frame, low)
        figure = axes[0].figure
        figure.legend(handles=_key(frame), loc="outside lower center", ncols=2, frameon=False, fontsize="small")

    def words(self, frame: pd.DataFrame, source: Overview) -> Words:
        """The chains and controls in numbers."""
        said = [
            f"{method} on {comparison} {number(gap, decimals=2, signed=True)} points at {number(cost)} times the {name}"
            for role, method, comparison, name, cost, gap in frame[
                ["role", "method", "comparison", "cost", RATIO, DIFFERENCE]
            ].itertuples(index=False)
            if role == CHAIN_ROLE
        ]
        text = (
            "Every method against its comparison's reference (where the black lines cross): up is more accurate, left "
            "is cheaper. Numbers name the main comparisons of each data set; other comparisons, and methods that the "
            "questions are not about, are pale. Costs are on logarithmic axes, and so is accuracy beyond half a point. "
            "Small triangles on the lower edge lie below it. Times are there where they were raced; intervals are in "
            "the table."
        )
        if not frame[RATIO].between(0, math.inf, inclusive="neither").all():
            text += " Marks on the left edge cost nothing; on the right edge, the reference does."
        return Words(f"Scatter plots of the difference in test accuracy against cost. {'; '.join(said)}.", text)


def _roles_of(each: Pool) -> dict[str, str]:
    picked = (chain(each), one_block(each), *(control(each, name) for name in (ENSEMBLE, CNN, CHECKPOINT)))
    return {method: role for method, role in zip(picked, ROLES, strict=True) if method is not None}


def _is_marked(rows: pd.DataFrame) -> pd.Series:
    marked: pd.Series = (rows["role"] != OTHER_ROLE) & (rows["number"] > 0)
    return marked


def _lowest(frame: pd.DataFrame) -> float:
    """Where the axis of accuracy ends: what lies lower would press the marks together."""
    marked = frame[_is_marked(frame)][DIFFERENCE]
    return min(-3.0, 1.2 * float(marked.min())) if len(marked) else float(frame[DIFFERENCE].min())


def _marks(place: int, each: Pool) -> Iterator[tuple[object, ...]]:
    roles = _roles_of(each)
    for row in each.found.rows:
        if row.accuracy is None:
            continue
        interval = row.accuracy.effect.alone
        ends = (interval.low, interval.high) if interval else (math.nan, math.nan)
        who = (place, each.label, row.method, each.data.families[row.method].value, roles.get(row.method, OTHER_ROLE))
        for cost, judged in (("time", row.time), ("memory", row.memory)):
            if judged is not None:
                own = judged.effect.alone
                costs = (math.exp(own.low), math.exp(own.high)) if own else (math.nan, math.nan)
                yield *who, cost, judged.ratio, *costs, row.accuracy.effect.value, *ends, row.accuracy.verdict.value


def _cost_axis(panel: Axes, rows: pd.DataFrame, cost: str) -> tuple[float, float]:
    """Set the axis, and return its ends, on which lie ratios of 0 and of infinity: a logarithmic axis has no place."""
    ratios = rows[RATIO][(rows[RATIO] > 0) & (rows[RATIO] < math.inf)]
    low, high = min([*ratios, 1.0]), max([*ratios, 1.0])
    panel.set_xlim(low / 1.5, high * 1.5)
    panel.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high / low < 100 else (1.0, 3.0)))
    panel.xaxis.set_minor_locator(NullLocator())
    style.plain_numbers(panel.xaxis)
    panel.set_xlabel(f"{COSTS[cost]} (ratio, ← better)", fontsize="small")
    panel.tick_params(labelsize="small")
    return low / 1.5, high * 1.5


def _accuracy_axis(panel: Axes, frame: pd.DataFrame, lowest: float) -> None:
    """Ticks that are round on both parts of the axis, and room for the marks."""
    ends = np.arcsinh(frame[DIFFERENCE].to_numpy(dtype=float).clip(min=lowest) / LINEAR)
    low, high = min(ends.min(), -0.5), max(ends.max(), 0.5)
    space = 0.05 * (high - low)
    panel.set_ylim(LINEAR * math.sinh(low - space), LINEAR * math.sinh(high + space))
    panel.yaxis.set_major_locator(FixedLocator(sorted({sign * tick for tick in TICKS for sign in (-1, 1)})))
    panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}".replace("-", "−") if value else "0"))
    panel.yaxis.set_minor_locator(NullLocator())


def _key(frame: pd.DataFrame) -> list[Line2D]:
    """Two columns: what the marks are, and which comparison each number is."""
    there = set(frame[_is_marked(frame)]["role"])
    marks = [
        Line2D([], [], ls="", marker=marker, ms=7, mew=0, color=style.PALETTES[family][0], label=role)
        for role, (marker, family) in ROLES.items()
        if role in there
    ]
    pale = frame[~_is_marked(frame)]["family"].unique()
    marks += [
        Line2D([], [], ls="", marker="o", ms=4, mew=0, alpha=0.45, color=style.PALETTES[family][0], label=name)
        for family, name in ((f, f"other: {f.value}".replace("other: other", "other")) for f in Family)
        if family.value in pale
    ]
    numbers = frame[frame["number"] > 0].drop_duplicates("number").sort_values("number")
    named = [
        Line2D([], [], ls="", marker=f"${place}$", ms=6, mew=0.3, color="0.3", label=label)
        for place, label in numbers[["number", "comparison"]].itertuples(index=False)
    ]
    rows = max(len(marks), len(named))
    blank = Line2D([], [], ls="", label=" ")
    return [*marks, *[blank] * (rows - len(marks)), *named, *[blank] * (rows - len(named))]
