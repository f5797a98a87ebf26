"""Whether the cells of a run had a machine to themselves: if not, their times should not be compared."""

from collections.abc import Iterable

from results.schema import CellResult, RunRecord

ENGINES = {"slurm": "Slurm", "ray": "Ray"}
"""Names of the launchers other than `local` in texts."""


def sharing(record: RunRecord, cells: Iterable[CellResult]) -> str | None:
    """How cells shared machines, as a clause; None if each had a known machine to itself."""
    cells = list(cells)
    if where := placed(cells):
        return where
    if jobs_here(record) > 1:
        return f"cells ran {jobs_here(record)} at a time"
    return "some cells ran in parts, on several machines" if any(has_moved(cell) for cell in cells) else None


def has_moved(cell: CellResult) -> bool:
    """Whether a cell was interrupted and went on on another machine."""
    return bool(cell.earlier_machines) and {*cell.earlier_machines, cell.node} != {cell.node}


def jobs_here(record: RunRecord) -> int:
    """How many of a run's cells one machine runs side by side: 1 with launchers other than `local`."""
    return record.jobs if record.launcher == "local" else 1


def placed(cells: Iterable[CellResult]) -> str | None:
    """`cells ran where Slurm put them, on 3 machines`; None if no launcher chose machines."""
    cells = list(cells)
    elsewhere = [cell for cell in cells if cell.launcher != "local"]
    if not elsewhere:
        return None
    engines = " and ".join(dict.fromkeys(ENGINES[cell.launcher] for cell in elsewhere))
    nodes = len({cell.node for cell in elsewhere})
    some = "some " if len(elsewhere) < len(cells) else ""
    return f"{some}cells ran where {engines} put them, on {nodes} {'machine' if nodes == 1 else 'machines'}"
