"""What the machine did while the cells trained, and which cells it disturbed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence

from reports.formats.markdown import MISSING, code, markdown_table, number, plural
from reports.view import DatasetView, RunView
from results.schema import CellResult, MachineRecord

DISTURBED_SHARE = 0.05
"""A cell is called disturbed where others took more than this share of the cores that it might have used."""
_NAMED = 5


def disturbance(cell: CellResult) -> float | None:
    """The share of the cores that other processes and other guests took while the cell trained; None: not known."""
    machine = cell.machine
    if machine is None or machine.foreign_cores is None:
        return None
    return (machine.foreign_cores + (machine.steal_cores or 0.0)) / cell.environment.cores


def is_disturbed(cell: CellResult) -> bool:
    """Whether foreign load may have made the cell's times longer."""
    share = disturbance(cell)
    return share is not None and share > DISTURBED_SHARE


def flags(data: DatasetView, sharing: str | None) -> Iterator[str]:
    """A sentence that names the disturbed cells; nothing where there are none, or cells shared it by design."""
    disturbed = [cell for cell in data.cells if is_disturbed(cell)]
    if sharing or not disturbed:
        return
    names = [f"{code(cell.method)} seed {cell.seed} ({disturbance(cell):.0%})" for cell in disturbed[:_NAMED]]
    more = f" and {len(disturbed) - _NAMED} more" if len(disturbed) > _NAMED else ""
    total = sum(1 for _ in data.cells)
    yield (
        f"**Disturbed**: while {len(disturbed)} of {plural(total, 'cell')} trained, other processes or guests of the "
        f"machine took more than {DISTURBED_SHARE:.0%} of its cores: {', '.join(names)}{more}. Their times, and "
        "whatever is computed from them, may be too long."
    )


def section(view: RunView) -> Iterator[str]:
    """The machine by method, as Markdown blocks; nothing where no cell was watched."""
    groups: dict[tuple[str, str], list[CellResult]] = {}
    for data in view.datasets:
        for method, cells in data.finished.items():
            if watched := [cell for cell in cells if cell.machine is not None]:
                groups[data.name, method] = watched
    if not groups:
        return
    columns: dict[str, Callable[[MachineRecord], float | None]] = {
        "other processes, cores": lambda machine: machine.foreign_cores,
        "other guests (steal), cores": lambda machine: machine.steal_cores,
        "the harness, cores": lambda machine: machine.harness_cores,
        "load average": lambda machine: machine.load,
        "CPU, MHz": lambda machine: machine.cpu_mhz,
        "CPU least, MHz": lambda machine: machine.cpu_mhz_least,
        "GPU, MHz": lambda machine: machine.gpu_mhz,
        "GPU least, MHz": lambda machine: machine.gpu_mhz_least,
        "GPU most, °C": lambda machine: machine.gpu_celsius_most,
        "GPU busy, share": lambda machine: machine.gpu_busy,
    }
    shown = {
        header: value
        for header, value in columns.items()
        if any(value(machine) is not None for cells in groups.values() for machine in _machines(cells))
    }
    rows = []
    for (dataset, method), cells in groups.items():
        values = [_most([value(machine) for machine in _machines(cells)], header) for header, value in shown.items()]
        rows.append([dataset, code(method), str(len(cells)), *values])
    yield "## The machine while the cells trained"
    yield markdown_table(["data set", "method", "cells", *shown], rows, text_columns=2)
    yield (
        "Means over a cell's training, then the mean over cells, with the largest in brackets; *least* and *most* are "
        "the extremes of all. CPU times are from the kernel's counters, on the cores that the cells may use; "
        "clocks, loads and temperatures are sampled once a second. *The harness* is what measuring itself took, in a "
        f"process of its own: {_overhead(view.cells)}."
    )


def _machines(cells: Iterable[CellResult]) -> list[MachineRecord]:
    return [cell.machine for cell in cells if cell.machine is not None]


def _most(values: Sequence[float | None], header: str) -> str:
    """The mean with the largest in brackets, or the extreme where that is what the column is."""
    known = [value for value in values if value is not None]
    if not known:
        return MISSING
    if "least" in header:
        return number(min(known))
    if "most" in header:
        return number(max(known))
    mean = number(statistics.fmean(known))
    return mean if len(known) == 1 else f"{mean} ({number(max(known))})"


def _overhead(cells: Iterable[CellResult]) -> str:
    shares = [
        machine.harness_cores / cell.config.threads
        for cell in cells
        if (machine := cell.machine) is not None and machine.harness_cores is not None
    ]
    if not shares:
        return "not known here"
    return f"on average {100 * statistics.fmean(shares):.2f}% of the CPU time that a cell's threads have"
