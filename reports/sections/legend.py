"""How to read the answer's table: marks, margins, what intervals cover, and how time and memory were measured."""

from __future__ import annotations

from reports.formats.markdown import Markdown, listed, plural
from reports.formats.prose import prose
from reports.sections.memory import in_turn
from reports.sections.unmatched import fairness
from reports.statistics.effect import Basis
from reports.statistics.questions import findings
from reports.tables import MARKS
from reports.view import DatasetView, RunView
from results.conditions import processors

TEXT = """
{% if data.rivals %}Difference, time and memory are against `{{ data.reference }}`. Marks judge all methods of a column
together: {{ marks }}. Equivalent comes first: the difference is within {{ margins.accuracy_points | number(1) }} points
of accuracy, {{ "%g" | format(100 * margins.time) }}% of time or {{ "%g" | format(100 * margins.memory) }}% of memory,
even where it is surely not 0. Better and worse: it is not shown to be so small, and equality is ruled out. Intervals
are 95%, each by itself, so one behind ? may leave out equality.
{%- if needed %} In brackets behind ?: about how many seeds in all would decide; without a number, more than a hundred,
or no number of seeds would.{% endif %}
{%- if bases %} Intervals of accuracy cover {{ bases | listed }} ({{ images }}).{% endif %}
{% if raced %}Time is that of a training step, alternating with the reference's (`race.json`), so that other load on the
machine hits both alike; its interval is over rounds, each with new processes.
{%- if elsewhere %} The race ran on another processor ({{ elsewhere[0] }}) than the cells
({{ elsewhere[1] }}).{% endif %}
{%- if beside %} Other programs needed its cores
{%- if beside | length == data.race.methods | length %} throughout the race
{%- else %} while {{ beside | codes }} ran{% endif %}, so threads waited for one another in another way: on a quiet
machine the ratio may be different (`python -m bench.race RUN`).{% endif %}
{%- if left_out_pairs %} {{ left_out_pairs | plural("pair") }} of turns beside a neighbour did not count.{% endif %}
{%- elif timed %}Time is that of training{% if left_out %}, without the disturbed cells of {{ left_out | codes }}
{%- endif %}.
{%- elif data.sharing %}Times are left out: {{ data.sharing }}.{% endif %}
{%- if data.race and data.race.failed %} Not timed in the race, since it failed then: {{ data.race.failed | codes }}.
{%- endif %}
{%- if unraced %} Not timed in the race: {{ unraced | codes }}.{% endif %}
Memory is {{ memory }}.{% endif %}
{%- if in_turn %} {{ in_turn }}{% endif %}
{%- for methods in data.shared_trainings %} {{ methods | codes }} differ at inference alone and share one training per
seed: its time and memory are measured once.{% endfor %}

{{ fairness }}

{{ figure }}
"""


def section(run: RunView, data: DatasetView) -> Markdown:
    """The legend, what was the same for all methods, and the picture."""
    found = findings(data)
    timed = data.race.methods if data.race else []
    bases = dict.fromkeys(
        row.accuracy.effect.basis for row in found.rows if row.accuracy is not None and row.accuracy.effect.alone
    )
    names = {
        Basis.SEEDS_AND_IMAGES: "a new seed and a new test set of this size",
        Basis.SEEDS: "a new seed alone, since which images were right is not recorded",
        Basis.IMAGES: "a new test set of this size alone, since there is one seed",
    }
    return prose(
        TEXT,
        data=data,
        margins=data.margins,
        marks=", ".join(f"{mark} {verdict}" for verdict, mark in MARKS.items()),
        bases=[names[basis] for basis in bases],
        images=plural(max((cell.data.n_test for cell in data.cells if cell.data is not None), default=0), "test image"),
        raced=found.raced,
        elsewhere=_elsewhere(data),
        unraced=_unraced(data) if found.raced else [],
        left_out_pairs=sum(each.left_out for each in timed if not each.beside_others),
        beside=[each.method for each in timed if each.beside_others],
        timed=any(row.time is not None for row in found.rows),
        needed=any(each and each.seeds_needed for row in found.rows for each in (row.accuracy, row.time, row.memory)),
        left_out=dict.fromkeys(method for method, _ in found.costs.left_out) if found.costs else {},
        memory=found.memory.name,
        in_turn=in_turn(data),
        fairness=fairness(run, data),
        figure=data.figures.get("differences", ""),
    )


def _elsewhere(data: DatasetView) -> tuple[str, str] | None:
    """The race's processor and the cells', where they are not the same."""
    if data.race is None:
        return None
    cells = [cell.environment for cell in data.cells]
    if len(processors([*cells, data.race.environment])) == len(processors(cells)):
        return None
    return data.race.environment.processor, listed(sorted(processors(cells)))


def _unraced(data: DatasetView) -> list[str]:
    """Methods that the race neither timed nor tried."""
    if data.race is None:
        return []
    known = {data.race.reference, *data.race.failed, *(each.method for each in data.race.methods)}
    return [method for method in data.drawn if method not in known]
