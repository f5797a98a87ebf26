"""A grid of cells arranged for reporting: one data set's, by method and value of what is varied."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reports.view import UNSTATED, Family, family_of
from results.grid import Grid
from results.schema import CellResult


@dataclass(frozen=True)
class GridView:
    """The cells of one data set."""

    dataset: str
    values: Sequence[float]
    """Of what is varied, from the lowest."""
    default: float | None
    """Its value where nobody varies it; None: there is none for all methods."""
    cells: Mapping[str, Mapping[float, Sequence[CellResult]]]
    """Finished cells by method and value; every planned method and value is a key."""
    families: Mapping[str, Family]
    """Of each method."""
    lost: Sequence[tuple[str, float, str]]
    """Method, value and reason for each cell without a result."""


def grid_views(grid: Grid) -> list[GridView]:
    """One for each data set, in the order of the plan."""
    record = grid.record
    stated = {row.method_name: row.credit for row in grid.rows.values() if row.credit}
    families = {
        point.method: family_of(point.method, stated.get(point.cell.method_name, UNSTATED)) for point in record.points
    }
    return [
        GridView(
            name,
            grid.values(name),
            record.default,
            grid.finished(name),
            families,
            [(point.method, point.value, why) for point, why in grid.unfinished(name)],
        )
        for name in grid.datasets
    ]
