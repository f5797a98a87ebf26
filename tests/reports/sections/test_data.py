"""The section on data: what is said of which data sets."""

from __future__ import annotations

from reports.sections.data import section
from reports.view import arrange
from tests.factories import make_cells, make_run


def rows_of(*datasets: str) -> dict[str, list[str]]:
    cells = make_cells(datasets=datasets)
    lines = [line for line in section(arrange(make_run(cells), cells)).splitlines() if line.startswith("| ")]
    entries = [[entry.strip() for entry in line.strip("|").split("|")] for line in lines]
    return {name: values for name, *values in entries}


def test_nothing_is_said_of_a_published_set_where_the_data_are_ones_own() -> None:
    own, both = rows_of("folder:/mine"), rows_of("folder:/mine", "mnist")
    assert own.keys() == both.keys() - {"checksums", "of the published set"}
    assert both["checksums"] == ["–", "match the published checksums"]
    assert both["of the published set"] == ["–", "all"]
