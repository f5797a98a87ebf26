"""`python -m bench.race`: by itself with real processes, and for a run that has ended."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from bench import race
from bench.runner import race as runner
from results.race import read_race, write_race
from tests.bench.harness import Ended, call, refused
from tests.bench.runner.test_race import FakeRaces
from tests.factories import make_cells, write_run
from tests.results.test_race import make_race

SMALL = ("--batch-size", "16", "--train-size", "60", "--threads", "1", "--seconds", "0")


Race = Callable[..., Ended]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Race:
    return lambda *arguments: call(race.main, "bench.race", arguments, monkeypatch, capsys)


def test_by_itself(command: Race) -> None:
    ended = command("--methods", "backprop[T=1],backprop-plain", *SMALL)
    assert ended.code == 0
    header, _, row = ended.out.splitlines()
    assert re.split(r"\s{2,}", header) == [
        "method",
        "ms per step",
        "reference's",
        "ratio",
        "95% interval",
        "pairs",
    ]
    assert re.fullmatch(r"backprop-plain +[\d.]+ +[\d.]+ +\d\.\d{3} +\d\.\d{3} to \d\.\d{3} +32", row)
    *rounds, last = ended.err.splitlines()
    assert rounds == [f"race: digits: round {number} of 8" for number in range(1, 9)]
    assert re.fullmatch(r"race: digits backprop-plain: [\d.]+ times backprop\[T=1\]'s time per step .*, 32 pairs", last)


def test_against_itself(command: Race, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakeRaces()
    monkeypatch.setattr(runner, "race_methods", fake)
    assert command("--methods", "noprop,backprop", "--against-itself", *SMALL).code == 0
    assert fake.heats == [("digits", name, [name]) for name in ("noprop", "backprop")]


def test_of_a_run_it_is_done_anew_and_the_report_built(
    command: Race, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = FakeRaces()
    monkeypatch.setattr(runner, "race_methods", fake)
    run = write_run(tmp_path / "run", make_cells(datasets=["digits"]))
    write_race(run, make_race(dataset="digits"))
    ended = command(run)
    assert ended.code == 0
    assert ended.out.splitlines()[-1] == str(run / "report.md")
    assert fake.heats == [("digits", "backprop", ["noprop"])]
    assert read_race(run) != make_race(dataset="digits")


@pytest.mark.parametrize(
    ("arguments", "quoted"),
    [
        (("--methods", "noprop"), "a race takes backprop and another method"),
        (("--methods", "backprop"), "a race takes backprop and another method"),
        (("--methods", "nope"), "unknown method 'nope'"),
        (("--seconds", "-1"), "--seconds"),
        (("nowhere",), "nowhere is not a run"),
        (("nowhere", "--threads", "2"), "--threads is not accepted with RUN"),
    ],
)
def test_what_cannot_be_raced_is_one_sentence(command: Race, arguments: tuple[str, ...], quoted: str) -> None:
    refused(command(*arguments), quoted)


def test_a_run_that_cannot_be_raced_is_said_and_ends_with_2(command: Race, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(datasets=["digits"], methods=["backprop"]))
    write_race(run, make_race(dataset="digits"))
    ended = command(run)
    assert ended.code == 2
    assert read_race(run) == make_race(dataset="digits")
    assert ended.err.splitlines() == ["note: no race on digits: no other method than backprop has finished"]
