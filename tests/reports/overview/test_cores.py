"""The simulation of more cores: known answers, and when it is left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from reports.overview.cores import Step, more_cores
from reports.overview.overview import Overview
from results.race import RaceRecord
from tests.reports.overview.test_pooling import cell, race, source


def on_threads(threads: int, ratio: float) -> RaceRecord:
    known = race("noprop", ratio=ratio)
    (sitting,) = known.datasets
    return known.model_copy(update={"datasets": [sitting.model_copy(update={"threads": threads})]})


def page(*races: RaceRecord) -> str:
    cells = [
        cell(config={"threads": 1}, activation_bytes=1000),
        cell("noprop", config={"options": {"T": 10}, "threads": 1}, activation_bytes=100),
    ]
    return more_cores(Overview([source(f"run-{n}", *cells, race=each) for n, each in enumerate(races)], [], Path()))


def test_blocks_that_do_not_disturb_one_another_take_as_many_rounds_as_there_are() -> None:
    step = Step(one=10.0, two=5.0)
    assert [step.of_blocks(cores, 10) for cores in (4, 8, 10, 16)] == pytest.approx([3.0, 2.0, 1.0, 1.0])


def test_blocks_are_slowed_as_two_were() -> None:
    assert Step(one=10.0, two=6.0).of_blocks(10, 10) == pytest.approx(1.2)
    assert Step(one=3.0, two=2.0).of_blocks(3, 3) == pytest.approx(1.0)


def test_threads_gain_by_the_share_that_the_second_made_faster() -> None:
    assert Step(one=10.0, two=5.0).of_threads(4) == pytest.approx(2.5)
    assert Step(one=10.0, two=7.5).of_threads(1_000_000) == pytest.approx(5.0, rel=1e-4)
    assert Step(one=10.0, two=11.0).of_threads(16) == pytest.approx(10.0)


def test_the_page_has_both_steps_and_their_ratio() -> None:
    rows = [
        line.split("|")[1:-1] for line in page(on_threads(1, 2.0), on_threads(2, 1.0)).splitlines() if line[:1] == "|"
    ]
    table = {cells[1].strip(): [text.strip() for text in cells[2:]] for cells in rows if len(cells) == 7}
    assert table["`noprop`"] == ["2,000", "1,000", "600", "400", "200"]
    assert table["`backprop`"] == ["1,000"] * 5
    assert table["activations, the same"] == ["0.100", "0.200", "0.400", "0.500", "1.00"]  # on eight cores five blocks
    assert table["`noprop` to `backprop`"] == ["**2.00**", "**1.00**", "**0.600**", "**0.400**", "**0.200**"]


@pytest.mark.parametrize("threads", [1, 2])
def test_without_races_on_one_and_on_two_threads_nothing_is_said(threads: int) -> None:
    assert page(on_threads(threads, 2.0)) == ""
