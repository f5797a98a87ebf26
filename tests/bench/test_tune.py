"""`python -m bench.tune` with trials that take no time, and `bench.run` with what it found."""

from __future__ import annotations

import signal
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from bench import tune
from bench.planning import tuned
from bench.planning.presets import PRESETS
from results.store import read_run
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells, FakeTrials
from tests.bench.harness import Ended, Plugin, call, refused

Tune = Callable[..., Ended]
METHODS = ("--methods", "noprop[T=1],backprop[T=1]", "--threads", 1, "--train-size", 60)


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Tune]:
    before = signal.getsignal(signal.SIGTERM)
    yield lambda *given: call(tune.main, "bench.tune", ("--out", tmp_path / "tuned", *given), monkeypatch, capsys)
    signal.signal(signal.SIGTERM, before)


def winners(tmp_path: Path, name: str = "digits") -> dict[str, Any]:
    """What `tuned.toml` says of digits."""
    found: dict[str, Any] = tomllib.loads((tmp_path / "tuned" / name / "tuned.toml").read_text())["tuned"]["digits"]
    return found


def test_every_method_has_the_same_trials_in_turns(search: Tune, trials: FakeTrials) -> None:
    assert search(*METHODS, "--trials", 4).code == 0
    noprop, backprop = "noprop[T=1]", "backprop[T=1]"
    assert [name for name, *_ in trials.tried] == [noprop, backprop, backprop, noprop] * 2
    kept = [job.cell.config.model_dump(exclude={"lr", "weight_decay", "options"}) for job in trials.jobs]
    assert all(config == kept[0] for config in kept)
    (seed,) = {job.cell.seed for job in trials.jobs}
    assert all(seed not in preset.seeds for preset in PRESETS.values())
    assert all(job.trial for job in trials.jobs)


def test_the_first_trial_is_the_defaults_and_the_others_are_in_range(search: Tune, trials: FakeTrials) -> None:
    search("--methods", "noprop-attached", "--trials", 12)
    (_, lr, weight_decay, options), *others = trials.tried
    assert (lr, weight_decay, options["eta"], options["alpha_bar_max"]) == (0.001, 0.001, 0.1, 0.999)
    for _, lr, weight_decay, options in others:
        assert lr == float(f"{lr:.4g}")
        assert 1e-4 <= lr <= 1e-2
        assert 1e-6 <= weight_decay <= 1e-1
        assert 0.01 <= options["eta"] <= 10
        assert 0.8 <= options["alpha_bar_max"] <= 0.999
        assert options["T"] == 10
    assert len({lr for _, lr, *_ in others}) == 11


def test_an_option_that_is_given_is_not_searched(search: Tune, trials: FakeTrials) -> None:
    search("--methods", "noprop-attached[eta=0.5]", "--set", "alpha_bar_max=0.9", "--trials", 3)
    assert {(options["eta"], options["alpha_bar_max"]) for *_, options in trials.tried} == {(0.5, 0.9)}
    assert len({lr for _, lr, *_ in trials.tried}) == 3


def test_the_best_validation_accuracy_wins(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    ended = search(*METHODS, "--trials", 6)
    for label, found in winners(tmp_path).items():
        rates = [lr for name, lr, *_ in trials.tried if name == label]
        best = min(rates, key=lambda lr: abs(lr - 0.003))
        assert found["lr"] == best
        assert found["tuning"]["trial"] == rates.index(best)
        assert found["tuning"]["val_accuracy"] == pytest.approx(0.9 - abs(best - 0.003))
        assert found["tuning"]["default_val_accuracy"] == pytest.approx(0.898)
        assert (found["tuning"]["trials"], found["tuning"]["epochs"], found["tuning"]["train_size"]) == (6, 10, 60)
        assert label in ended.out
    assert ended.out.splitlines()[-1] == str(tmp_path / "tuned" / "digits" / "tuned.toml")


def test_the_defaults_win_a_tie(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    trials.accuracy = lambda job: 0.5
    search(*METHODS, "--trials", 3)
    assert {(each["lr"], each["tuning"]["trial"]) for each in winners(tmp_path).values()} == {(0.001, 0)}


def test_a_failed_trial_uses_up_budget(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    trials.failing = lambda job: "defaults" in job.cell.method
    ended = search(*METHODS, "--trials", 3)
    assert (ended.code, len(trials.jobs)) == (0, 6)
    for found in winners(tmp_path).values():
        assert found["tuning"]["failed"] == 1
        assert "default_val_accuracy" not in found["tuning"]
    assert search(*METHODS, "--trials", 3).code == 0
    assert len(trials.jobs) == 6


def test_a_method_whose_every_trial_fails(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    trials.failing = lambda job: job.cell.method_name == "noprop"
    ended = search(*METHODS, "--trials", 2)
    assert ended.code == 1
    assert "every trial failed" in ended.out
    assert list(winners(tmp_path)) == ["backprop[T=1]"]


def test_a_stopped_search_goes_on_as_it_would_have(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    search(*METHODS, "--trials", 14, "--name", "whole")
    whole = trials.tried
    for stop_at in (0, 1, 27):
        del trials.jobs[:]
        name = f"stopped-{stop_at}"
        trials.stop_at = stop_at
        ended = search(*METHODS, "--trials", 14, "--name", name)
        assert ended.code == 130
        assert f"{stop_at} of 28 trials have ended and are kept" in ended.lines[-1]
        trials.stop_at = None
        assert search(*METHODS, "--trials", 14, "--name", name).code == 0
        assert trials.tried == whole
        same = [
            {label: (found["lr"], found["options"]) for label, found in winners(tmp_path, each).items()}
            for each in (name, "whole")
        ]
        assert same[0] == same[1]


def test_a_search_from_before_a_method_was_renamed_goes_on(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    given = ("--methods", "backprop-plain[features=mean]", "--name", "old")
    search(*given, "--trials", 2)
    study = tmp_path / "tuned" / "old" / "study.jsonl"
    study.write_text(study.read_text().replace("backprop-plain", "backprop-cnn"))
    assert search(*given, "--trials", 3).code == 0
    assert len(trials.jobs) == 3


def test_more_trials_are_added_and_fewer_look_at_the_first(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    search(*METHODS, "--trials", 2)
    ended = search(*METHODS, "--trials", 5)
    assert len(trials.jobs) == 10
    assert [line.split("]")[0] for line in ended.lines] == [f"[{number}/10" for number in range(5, 11)]
    trials.accuracy = lambda job: 1.0
    fewer = search(*METHODS, "--trials", 1)
    assert len(trials.jobs) == 10
    assert "has 5 trials of a method, of which the first 1 count here" in fewer.err
    assert "count here" not in ended.err
    assert {each["tuning"]["trials"] for each in winners(tmp_path).values()} == {1}


def test_winners_stay_beside_those_of_the_same_budget_only(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    small = METHODS[2:]
    search("--methods", "backprop[T=1]", *small, "--trials", 2)
    search("--methods", "noprop[T=1]", *small, "--trials", 2)
    assert sorted(winners(tmp_path)) == ["backprop[T=1]", "noprop[T=1]"]
    search("--methods", "noprop[T=1]", *small, "--trials", 3)
    assert sorted(winners(tmp_path)) == ["noprop[T=1]"]


def test_other_conditions_are_another_study(search: Tune, trials: FakeTrials) -> None:
    search(*METHODS, "--trials", 1)
    refused(
        search(*METHODS, "--trials", 2, "--epochs", 3, "--batch-size", 7), "differing: epochs, batch_size", "--name"
    )
    refused(search(*METHODS, "--trials", 2, "--seed", 3), "differing: seed")
    assert len(trials.jobs) == 2


def test_a_study_that_is_none(search: Tune, trials: FakeTrials, tmp_path: Path) -> None:
    study = tmp_path / "tuned" / "digits" / "study.jsonl"
    study.parent.mkdir(parents=True)
    study.write_text("this is no journal\n" * 2)
    refused(search(*METHODS), f"cannot use the study {study}")
    assert trials.jobs == []


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        (("--methods", "nope"), "'nope'"),
        (("--methods", "noprop[tuned]"), "noprop[tuned] is not accepted without tuned hyperparameters"),
        (("--datasets", "nope"), "'nope'"),
        (("--trials", "0"), "from 1 to 10000"),
        (("--name", "a/b"), "'a/b'"),
        (("--name", ""), "''"),
    ],
)
def test_what_cannot_be_searched(
    search: Tune, trials: FakeTrials, tmp_path: Path, given: tuple[str, str], quoted: str
) -> None:
    refused(search(*given), quoted)
    assert not (tmp_path / "tuned").exists()


def test_without_optuna(search: Tune, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused(search("--methods", "noprop"), "Optuna", "noprop-bench[tune]")


@pytest.fixture
def found(search: Tune, trials: FakeTrials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Winners of two methods, where `--config tuned` looks for them."""
    assert search(*METHODS, "--trials", 4).code == 0
    monkeypatch.setattr(tuned, "DEFAULT_TUNED", tmp_path / "tuned")
    return tmp_path / "tuned" / "digits" / "tuned.toml"


def configs(out: Path) -> dict[str, tuple[float, bool]]:
    """Learning rate, and whether it was searched, of each method of the one run in a folder."""
    (run,) = out.iterdir()
    cells = read_run(run).cells
    return {cell.method: (cell.config.lr, cell.config.tuning is not None) for cell in cells}


@pytest.mark.parametrize("name", ["tuned", "by path"])
def test_a_run_with_the_winners(command: Command, cells: FakeCells, found: Path, tmp_path: Path, name: str) -> None:
    config = name if name == "tuned" else str(found)
    best = {label: each["lr"] for label, each in winners(tmp_path).items()}
    common = ("--config", config, "--seeds", 0, "--device", "cpu")
    assert command("--out", tmp_path / "1", *common, "--methods", "noprop[T=1],backprop[T=1]").code == 0
    assert configs(tmp_path / "1") == {
        "noprop[T=1,tuned]": (best["noprop[T=1]"], True),
        "backprop[T=1,tuned]": (best["backprop[T=1]"], True),
    }
    assert command("--out", tmp_path / "2", *common, "--methods", "noprop[T=1],noprop[T=1,tuned]").code == 0
    assert configs(tmp_path / "2") == {"noprop[T=1]": (0.001, False), "noprop[T=1,tuned]": (best["noprop[T=1]"], True)}


def test_a_tuned_run_prints_as_a_file_and_can_be_resumed(
    command: Command, cells: FakeCells, found: Path, tmp_path: Path, search: Tune
) -> None:
    given = ("--config", "tuned", "--methods", "noprop[T=1,tuned],noprop[T=1]", "--seeds", "0,1")
    assert command("--out", tmp_path / "1", *given).code == 0
    printed = tmp_path / "printed.toml"
    printed.write_text(command(*given, "--print-config").out)
    assert command("--config", printed, "--out", tmp_path / "2").code == 0
    (one,), (two,) = (list((tmp_path / number).iterdir()) for number in "12")
    assert read_run(one).cells == read_run(two).cells
    assert command("--resume", one, *given).code == 0
    assert command("--resume", one, "--config", printed).code == 0
    search(*METHODS, "--trials", 8)
    refused(
        command("--resume", one, "--config", "tuned"), "--config (the run has trial ", "given is trial ", " of 8 in "
    )


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        (("--methods", "noprop"), "has no tuned hyperparameters for noprop on digits (there are some for noprop[T=1]"),
        (("--methods", "noprop[T=1]", "--lr", "0.1"), "--lr is not accepted with noprop[T=1,tuned]"),
        (("--methods", "noprop[T=1,tuned],noprop[T=1,tuned]"), "more than once"),
        (("--datasets", "nope"), "unknown data set 'nope'"),
        (("--datasets", "mnist", "--methods", "noprop[T=1]"), "there are no tuned hyperparameters for mnist in"),
    ],
)
def test_winners_that_do_not_fit(
    command: Command, cells: FakeCells, found: Path, tmp_path: Path, given: tuple[str, ...], quoted: str
) -> None:
    refused(command("--out", tmp_path / "out", "--config", "tuned", *given), quoted)
    assert cells.started == []


def test_the_newest_winners_are_taken(command: Command, cells: FakeCells, found: Path, tmp_path: Path) -> None:
    winner = tuned.read_winners(found)["digits"]["noprop[T=1]"]
    for name, year, rate in (("a", 2099, 0.125), ("b", 2001, 0.25)):
        other = tmp_path / "tuned" / name / "tuned.toml"
        other.parent.mkdir()
        tuning = winner.tuning.model_copy(update={"found_at": f"{year}-01-01T00:00:00+00:00"})
        table = tuned.as_table({"digits": {"noprop[T=1]": winner.model_copy(update={"lr": rate, "tuning": tuning})}})
        other.write_text(tomlkit.dumps({"tuned": table}))
    command("--out", tmp_path / "out", "--config", "tuned", "--methods", "noprop[T=1]", "--seeds", 0)
    assert configs(tmp_path / "out") == {"noprop[T=1,tuned]": (0.125, True)}


def test_winners_that_were_damaged(command: Command, cells: FakeCells, found: Path, tmp_path: Path) -> None:
    found.write_text(found.read_text().replace("weight_decay = ", "weight_decoy = ", 1))
    refused(command("--config", found, "--methods", "noprop[T=1]"), str(found), "weight_decay", "Field required")


def test_for_real(plugin: Plugin, tmp_path: Path) -> None:
    """A search, and a run in the default and the tuned way."""
    small = ("--datasets", "halves", "--epochs", 1, "--threads", 1, "--batch-size", 16)
    ended = plugin.run("--methods", "steady", *small, "--trials", 2, "--out", tmp_path / "tuned", module="bench.tune")
    assert ended.code == 0, ended.err
    file = tmp_path / "tuned" / "halves" / "tuned.toml"
    given = ("--config", file, "--methods", "steady,steady[tuned]", "--seeds", "0,1", "--out", tmp_path / "runs")
    ended = plugin.run(*small, *given)
    assert ended.code == 0, ended.err
    (run,) = (tmp_path / "runs").iterdir()
    report = (run / "details.md").read_text()
    assert "best of 2 trials by validation accuracy" in report
    assert "What the search brought on halves" in report
