"""The one table: data sets at budgets by methods; and times on further machines."""

from __future__ import annotations

from reports.formats.effects import points, ratio
from reports.formats.markdown import MISSING, Markdown, code, listed, markdown_table, number, plural, plus_minus
from reports.formats.prose import prose
from reports.overview.overview import Overview
from reports.overview.pooling import Pool, machine_of
from reports.statistics.effect import Basis
from reports.statistics.measures import TEST_ACCURACY
from reports.statistics.race import race_effects
from reports.tables import MARKS, marked

HEADERS = ["data set, budget", "method", "seeds", "test accuracy, %", "difference, points", "time, ratio"]
TEXT = """
{{ table }}

Difference, time and memory are against the method named as reference. {{ marks }}; equivalent is within
{{ margins | join(" or ") }} points, {{ "%g" | format(100 * margin.time) }}% of time and
{{ "%g" | format(100 * margin.memory) }}% of memory. Intervals are 95%, each by itself; the marks of a column within a
data set at a budget hold together with 95%; a difference of one seed has none. A difference is over the seeds that
both methods have, so it need not be that of their mean accuracies. Intervals of accuracy cover new seeds and new test
images; of one seed, test images alone
{%- if basis %}; where rows do not say which images were right, seeds alone: {{ basis | listed }}{% endif %}
{%- if single %}; or there is none: {{ single | listed }}{% endif %}. Behind ?: about how many seeds in all
would decide, where that is fewer than a hundred. Memory is what a training step holds for the backward pass, counted
exactly
{%- if unlike %}; left out where layers were computed in another way than the reference's, which holds more or less:
{{ unlike | listed }}{% endif %}.

Time is that of a training step, raced in turns with the reference's on one machine: {{ raced | join("; ") or "none" }}.
{% if unraced %}A dash: not raced ({{ unraced | listed }}); cells' own times are not used, since they ran on different
machines, side by side or beside other work.{% endif %}
{% if untimed %}Not timed in a race: {{ untimed | listed }}.{% endif %}

{% if others %}### Time on other machines{% endif %}

{{ others }}
"""


def table(overview: Overview) -> Markdown:
    """Every comparison, and how to read it."""
    pools = overview.comparisons
    rows = [row for each in pools for row in _rows(each)]
    bases = {each.name: {row.accuracy.effect for row in each.found.rows if row.accuracy} for each in pools}
    return prose(
        TEXT,
        table=markdown_table([*HEADERS, "memory, ratio"], rows, text_columns=2),
        marks=", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items()),
        margin=pools[0].data.margins,
        margins=sorted({f"{each.data.margins.accuracy_points:g}" for each in pools}),
        basis=[label for label, effects in bases.items() if any(e.basis is Basis.SEEDS and e.alone for e in effects)],
        single=[label for label, effects in bases.items() if any(e.alone is None for e in effects)],
        unlike=[f"{plural(each.without_memory, 'cell')} of {each.name}" for each in pools if each.without_memory],
        raced=[
            f"{each.name}: {_race_machine(each)} ({overview.links(known.runs)})"
            for each in pools
            for known in each.races
            if known.race is each.data.race
        ],
        unraced=[each.name for each in pools if not each.races],
        untimed=[text for each in pools if each.races and (text := _untimed(each))],
        others=_others(overview),
    )


def _rows(each: Pool) -> list[list[str]]:
    """The reference first, then the most accurate method first."""
    rows = []
    for row in sorted(each.found.rows, key=lambda row: row.method != each.data.reference):
        accuracy = MISSING if row.test_accuracy is None else number(row.test_accuracy, decimals=2)
        head = [each.label, code(row.method), str(len(each.data.finished[row.method])), accuracy]
        if row.method == each.data.reference:
            rows.append([*head, "0 (reference)", "1" if each.races else MISSING, "1"])
            continue
        judged = row.accuracy
        one_seed = judged is not None and judged.effect.seeds == 1  # says nothing of others: no verdict
        difference = points(judged.effect) if judged and one_seed else marked(judged, points)
        rows.append([*head, difference, marked(row.time, ratio), marked(row.memory, ratio)])
    return rows


def _untimed(each: Pool) -> str:
    """Methods that the race of a comparison left out, and which of them failed there."""
    race = each.data.race
    left_out = [row.method for row in each.found.rows if row.time is None and row.method != each.data.reference]
    if race is None or not left_out:
        return ""
    named = [code(method) + (" (it failed)" if method in race.failed else "") for method in left_out]
    return f"on {each.name} {listed(named)}"


def _race_machine(each: Pool) -> str:
    return next(known.machine for known in each.races if known.race is each.data.race)


def _others(overview: Overview) -> Markdown:
    """Races on machines other than the one in the table."""
    rows = [
        [each.label, known.machine, code(method), ratio(effect)]
        for each in overview.comparisons
        for known in each.races
        if known.race is not each.data.race
        for method, effect in race_effects(known.race).items()
    ]
    return (
        markdown_table(["data set, budget", "machine", "method", "time, ratio"], rows, text_columns=3) if rows else ""
    )


def alone_table(overview: Overview) -> Markdown:
    """Accuracies of methods that were trained at budgets without a reference; empty if there are none."""
    rows = [
        [
            each.label,
            code(method),
            str(len(cells)),
            plus_minus(TEST_ACCURACY.mean(cells), decimals=2),
            overview.links(each.runs[method]),
        ]
        for each in overview.alone
        for method, cells in each.data.finished.items()
    ]
    headers = ["data set, budget", "method", "seeds", "test accuracy, %", "run"]
    return markdown_table(headers, rows, text_columns=2) if rows else ""


def runs_table(overview: Overview) -> Markdown:
    """Every run, what it has and where it ran; and what was left out."""
    rows = []
    for source in overview.sources:
        cells = source.cells
        commits = sorted({(c.environment.commit or c.environment.package or "unknown")[:9] for c in cells})
        machines = sorted({machine_of(cell.config.device, cell.environment) for cell in cells})
        rows.append(
            [
                overview.link(source.name, source.folder),
                listed(sorted({cell.dataset for cell in cells})),
                str(len({cell.method for cell in cells})),
                str(len({cell.seed for cell in cells})),
                f"{len(cells)}" + (f" (and {plural(source.failed, 'failure')})" if source.failed else ""),
                "yes" if source.race else "no",
                ", ".join(machines),
                ", ".join(commits),
            ]
        )
    headers = ["run", "data", "methods", "seeds", "cells", "race", "machine", "commit"]
    return markdown_table(headers, rows, text_columns=2)
