"""How numbers and tables look."""

from __future__ import annotations

import math

import pytest

from reports.formats.markdown import alike, code, exact, few, markdown_table, number, plus_minus
from reports.statistics.estimates import DIFFERENCES, Estimate
from reports.statistics.measures import TEST_ACCURACY, TRAIN_SECONDS
from tests.factories import make_cell


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0"), (0.01234, "0.0123"), (1.234, "1.23"), (215.4, "215"), (1234567.0, "1,234,567")]
)
def test_numbers_keep_three_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_a_narrow_interval_is_not_shown_as_zero() -> None:
    assert plus_minus(Estimate(215.37, 0.2, 0.31, 3)) == "215.4 ± 0.3"


def test_one_seed_is_a_bare_number() -> None:
    assert plus_minus(Estimate(98.765, None, None, 1), decimals=2) in {"98.76", "98.77"}


def test_differences_carry_their_sign() -> None:
    assert plus_minus(Estimate(-0.5, 0.1, 0.25, 3), decimals=2, signed=True) == "−0.50 ± 0.25"
    assert plus_minus(Estimate(0.5, 0.1, 0.25, 3), decimals=2, signed=True) == "+0.50 ± 0.25"


def test_what_is_impossible_is_in_no_interval() -> None:
    cells = [
        make_cell(seed=seed, test_accuracy=value, train_seconds=2.0 + seed) for seed, value in enumerate((0.0, 1 / 3))
    ]
    assert plus_minus(TEST_ACCURACY.mean(cells), decimals=2) == "16.67 (0.00 to 100.00)"
    assert plus_minus(TRAIN_SECONDS.mean(cells), decimals=1) == "2.5 (0.0 to 8.9)"
    assert plus_minus(Estimate(-60.0, 9.0, 80.0, 2, DIFFERENCES), decimals=0, signed=True) == "−60 (−100 to +20)"
    assert plus_minus(Estimate(60.0, 9.0, 40.0, 2, DIFFERENCES), decimals=0, signed=True) == "+60 ± 40"


def test_fewer_values_than_seeds_are_said() -> None:
    assert plus_minus(Estimate(2.0, 0.1, 0.25, 2), expected=3).endswith("(n = 2)")


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        ([0.341, 0.0123, 0.000341], ["0.34100", "0.01230", "0.00034"]),
        ([12.0, 3400.0, 0.0], ["12", "3,400", "0"]),
        ([2.0, math.nan], ["2.0", "–"]),
        ([0.5, 3.4e-7, 0.0], ["5.0e-01", "3.4e-07", "0.0e+00"]),
        ([0.0, 0.0], ["0", "0"]),
        ([], []),
    ],
)
def test_a_column_has_one_form(values: list[float], texts: list[str]) -> None:
    assert alike(values) == texts


def test_exact_values_have_no_interval_and_show_their_range() -> None:
    assert exact([14.0, 14.0, 14.0]) == "14.00"
    assert exact([14.0, 15.5]) == "14.00 to 15.50"
    assert exact([]) == "–"


def test_a_pipe_or_a_line_break_in_a_cell_does_not_break_the_table() -> None:
    table = markdown_table(["a", "b"], [["x|y", "one\ntwo"]])
    assert table.splitlines()[2:] == [table.splitlines()[2]]
    assert "x\\|y" in table
    assert "one two" in table


def test_code_spans_cannot_be_closed_from_inside() -> None:
    assert code("a `b`\nc") == "`a 'b' c`"


def test_of_many_the_first_are_named_and_the_others_counted() -> None:
    assert few(["a", "b", "c"], 3) == "a, b and c"
    assert few(["a", "b", "c", "d", "e"], 3) == "a, b and 3 more"
