"""The machine while the cells trained: other load, clocks, temperatures, and what measuring itself took."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence

from reports.formats.markdown import MISSING, Markdown, code, markdown_table, number
from reports.formats.prose import prose
from reports.view import RunView
from results.schema import MachineRecord

COLUMNS: dict[str, Callable[[MachineRecord], float | None]] = {
    "other processes, cores": lambda machine: machine.foreign_cores,
    "other guests (steal), cores": lambda machine: machine.steal_cores,
    "the harness, cores": lambda machine: machine.harness_cores,
    "load average": lambda machine: machine.load,
    "CPU, MHz": lambda machine: machine.cpu_mhz,
    "CPU minimum, MHz": lambda machine: machine.cpu_mhz_least,
    "GPU, MHz": lambda machine: machine.gpu_mhz,
    "GPU minimum, MHz": lambda machine: machine.gpu_mhz_least,
    "GPU maximum, °C": lambda machine: machine.gpu_celsius_most,
    "GPU busy, share": lambda machine: machine.gpu_busy,
}
YIELDED = "yielding, seconds"
TEXT = """
## The machine while the cells trained

{{ table }}

Averages over a cell's training, then over cells, with the highest cell in brackets; *minimum* and *maximum* are the
extremes of all cells. CPU times come from the kernel's counters, for the cores that the cells may use; clocks, loads
and temperatures are sampled once a second. While others need a cell's cores, its threads are *yielding*: they wait for
one another without spinning, which is slower on a free machine and many times faster on a crowded one.

*The harness* is the measuring itself, in a process of its own: {{ overhead }}.
"""


def section(run: RunView) -> Markdown | None:
    """The machine by data set and method; None where no cell was monitored."""
    groups: dict[tuple[str, str], list[MachineRecord]] = {}
    yielded: dict[tuple[str, str], list[float]] = {}
    for cell in run.cells:
        if cell.machine is not None:
            groups.setdefault((cell.dataset, cell.method), []).append(cell.machine)
            yielded.setdefault((cell.dataset, cell.method), []).append(cell.yielded_seconds or 0.0)
    if not groups:
        return None
    rows = [[dataset, code(method), str(len(group))] for (dataset, method), group in groups.items()]
    headers = ["data set", "method", "cells"]
    columns = {
        name: [[x for machine in group if (x := value(machine)) is not None] for group in groups.values()]
        for name, value in COLUMNS.items()
    }
    if any(map(any, yielded.values())):
        columns[YIELDED] = list(yielded.values())
    for name, figures in columns.items():
        if any(figures):
            headers.append(name)
            for row, known in zip(rows, figures, strict=True):
                row.append(_figure(name, known))
    table = markdown_table(headers, rows, text_columns=2)
    shares = [
        cell.machine.harness_cores / cell.config.threads
        for cell in run.cells
        if cell.machine is not None and cell.machine.harness_cores is not None
    ]
    overhead = "not known here"
    if shares:
        overhead = f"on average {100 * statistics.fmean(shares):.2f}% of the CPU time that a cell's threads have"
    return prose(TEXT, table=table, overhead=overhead)


def _figure(header: str, known: Sequence[float]) -> str:
    """The mean with the largest in brackets, or the extreme where that is what the column is."""
    if not known:
        return MISSING
    if "minimum" in header:
        return number(min(known))
    if "maximum" in header:
        return number(max(known))
    mean = number(statistics.fmean(known))
    return mean if len(known) == 1 else f"{mean} ({number(max(known))})"
