"""Where a command's time went, in one line: what its cells say of themselves, the race, and the rest."""

from __future__ import annotations

from collections.abc import Iterable

from results.schema import CellResult

_MINUTE = 60
_HOUR = 3600


def time_taken(seconds: float, cells: Iterable[CellResult], in_cells: float, in_race: float | None) -> str:
    """`took 1.9 min: cells 1.2 min (training 3.1 s, ...), race 38 s, rest 5.2 s`.

    Args:
        seconds: Of the whole command.
        cells: The rows that it made.
        in_cells: Seconds until all cells had ended.
        in_race: Seconds of the race; None: there was none.
    """
    cells = [cell for cell in cells if cell.trained_with in (None, cell.method)]  # the others' time is theirs
    own = [cell for cell in cells if cell.status == "ok"]
    lost = sum(cell.wall_seconds for cell in cells if cell.status != "ok")
    training = sum(cell.train_seconds or 0.0 for cell in own)
    evaluation = sum(cell.eval_seconds or 0.0 for cell in own)
    wall = sum(cell.wall_seconds for cell in own)
    beside = max(0.0, wall - training - evaluation)
    together = "together " if wall + lost > 1.05 * in_cells else ""  # side by side, or in earlier processes
    parts = [
        f"cells {in_words(in_cells)} ({together}training {in_words(training)}, evaluation {in_words(evaluation)}, "
        f"processes, data and probes {in_words(beside)}{f', failed {in_words(lost)}' if lost else ''})"
    ]
    if in_race is not None:
        parts.append(f"race {in_words(in_race)}")
    parts.append(f"rest {in_words(max(0.0, seconds - in_cells - (in_race or 0.0)))}")
    return f"took {in_words(seconds)}: {', '.join(parts)}"


def in_words(seconds: float) -> str:
    """`3.1 s`, `47 s`, `12.5 min`, `3.2 h`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.1f} min" if seconds < _HOUR else f"{seconds / _HOUR:.1f} h"
