"""Whatever cannot be used: one sentence that names it and what is accepted, exit code 2, and nothing written."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import methods
from bench import datasets
from bench.runner import sweep
from tests.bench.conftest import Command
from tests.bench.harness import Plugin, refused

METHODS, DATASETS = (", ".join(registry.available()) for registry in (methods, datasets))
SEEDS = "a whole number from 0 to 4294967295"
# Option, value, what the sentence must quote, what it must say is accepted.
VALUES = [
    ("--methods", "nope", "'nope'", METHODS),
    ("--methods", "NoProp", "'NoProp'", "did you mean 'noprop'"),
    ("--methods", "NOPROP", "'NOPROP'", "did you mean 'noprop'"),
    ("--methods", "BackProp-CNN", "'BackProp-CNN'", "did you mean 'backprop-plain'"),
    ("--methods", "core[T=2]", "'core[T=2]'", "--set T=2"),
    ("--methods", "all[T=2,alpha_bar_max=0.9]", "brackets go behind one method", "--set T=2 --set alpha_bar_max=0.9"),
    ("--methods", "", "''", METHODS),
    ("--methods", " , ", "' , '", METHODS),
    ("--methods", "all,noprop", "'noprop'", "each once"),
    ("--methods", "noprop,noprop-dt", "'noprop'", "each once"),
    ("--methods", "noprop[T=2],noprop[T=02]", "'noprop[T=2]'", "each once"),
    ("--methods", "noprop[T=0]", "T=0", "from 1 to 1,000"),
    ("--methods", "backprop[T=-3]", "T=-3", "from 1 to 1,000"),
    ("--methods", "noprop[T=99999999999]", "T=99999999999", "from 1 to 1,000"),
    ("--methods", "noprop-ct[steps=0]", "steps=0", "from 1 to 100,000"),
    ("--methods", "noprop,", "'noprop,'", "empty item"),
    ("--methods", "noprop,,backprop", "'noprop,,backprop'", "empty item"),
    ("--methods", "noprop[T=2.5]", "T='2.5'", "whole number"),
    ("--methods", "noprop[T=many]", "T='many'", "whole number"),
    ("--methods", "noprop[T=]", "'T='", "NAME=VALUE"),
    ("--methods", "noprop[T]", "'T'", "NAME=VALUE"),
    ("--methods", "noprop[T=1", "'noprop[T=1'", "NAME[OPTION=VALUE,...]"),
    ("--methods", "noprop[T=1,T=2]", "'T'", "once"),
    ("--methods", "noprop[depth=1]", "'depth'", "T, alpha_bar_max"),
    ("--methods", "noprop[sampler=best]", "'best'", "ancestral, mean, replace"),
    ("--methods", "backprop-plain[T=3]", "'T'", "the options are features"),
    ("--set", "T=0", "T=0", "from 1 to 1,000"),
    ("--set", "T", "'T'", "NAME=VALUE"),
    ("--set", "depth=3", "'depth'", "T, alpha_bar_max"),
    ("--datasets", "nope", "'nope'", DATASETS),
    ("--datasets", "npz:nowhere.npz", "there is no file", "nowhere.npz"),
    ("--datasets", "folder:nowhere", "nowhere cannot be read (No such file or directory)", "train/CLASS/"),
    ("--datasets", "folder:nowhere[sise=3,flip=true]", "'sise'", "size"),
    ("--datasets", "", "''", "a,b,c"),
    ("--datasets", "digits,", "'digits,'", "a,b,c"),
    ("--datasets", "digits,digits", "'digits'", "once"),
    ("--preset", "nope", "'nope'", "'quick', 'standard', 'paper'"),
    ("--preset", "", "''", "'quick', 'standard', 'paper'"),
    ("--seeds", "", "''", "a,b,c"),
    ("--seeds", "0,,1", "'0,,1'", "a,b,c"),
    ("--seeds", "0,1,0", "0", "once"),
    ("--seeds", "0,00", "0", "once"),
    ("--seeds", "0-4", "'0-4'", "0,1,2"),
    ("--seeds", "0..4", "'0..4'", "0,1,2"),
    *(("--seeds", value, f"'{value}' is not", SEEDS) for value in ("-1", "4294967296", "1e3")),
    ("--seeds", "0,a", "'a'", SEEDS),
    *(
        (option, value, f"'{value}' is not", f"a whole number from {accepted}")
        for option, accepted in (
            ("--epochs", "1 to 2147483647"),
            ("--batch-size", "2 to 2147483647"),
            ("--train-size", "1 to 2147483647"),
            ("--threads", "1 to 1024"),
        )
        for value in ("0", "-5", "1.5", "many", "", "9" * 20)
    ),
    ("--epochs", "9" * 5000, "'999", f"999...{'9' * 19}' is not"),
    ("--batch-size", "1", "'1' is not", "a whole number from 2 to 2147483647"),
    ("--train-size", "9", "9", "at least 10"),
    ("--train-size", "1000000", "1000000", "1293"),
    ("--ema", "1", "'1' is not", "a finite number above 0 and below 1"),
    ("--clip", "0", "'0' is not", "a finite number above 0"),
    ("--timeout", "1e11", "'1e11' is not", "a finite number above 0 and not above 315360000"),
    *(
        ("--lr", value, f"'{value}' is not", "a finite number above 0")
        for value in ("0.0", "-1.0", "nan", "inf", "1e999", "fast", "", "0,001")
    ),
    *(
        ("--weight-decay", value, f"'{value}' is not", "a finite number not below 0")
        for value in ("-0.1", "nan", "inf", "some")
    ),
    *(
        ("--device", value, f"'{value}'", "auto, cpu, cuda")
        for value in ("gpu", "CPU", "cuda:", "cuda:x", "cuda:-1", "")
    ),
    *(("--device", value, f"'{value}'", "use cpu or auto") for value in ("cuda", "cuda:0", "cuda:7")),
    ("--config", "", "''", "give a TOML file or 'tuned'"),
    ("--data-dir", "", "name is empty", "give one"),
    ("--resume", "nope", "'nope'", "out"),
    ("--resum", "x", "'--resum'", "--resume"),
]


@pytest.fixture(autouse=True)
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that is not refused must not train for minutes: it fails here."""

    def start(*_: object) -> None:
        raise AssertionError("a cell was started")

    monkeypatch.setattr(sweep, "run_in_process", start)


@pytest.mark.parametrize(
    ("option", "value", "quoted", "accepted"), VALUES, ids=[f"{option}={value}" for option, value, *_ in VALUES]
)
def test_value(command: Command, tmp_path: Path, option: str, value: str, quoted: str, accepted: str) -> None:
    refused(command("--out", tmp_path / "out", option, value), quoted, accepted)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("extra", [("stray",), ("--epochs",)], ids=["stray", "no value"])
def test_form(command: Command, tmp_path: Path, extra: tuple[str, ...]) -> None:
    refused(command("--out", tmp_path / "out", *extra), *extra)
    assert list(tmp_path.iterdir()) == []


SIZES = ("--epochs", "--batch-size", "--train-size", "--threads", "--lr", "--weight-decay", "--seeds")


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(option=st.sampled_from(SIZES), value=st.text(st.characters(exclude_categories=["N", "Cs"]), max_size=12))
def test_no_text_is_a_number(command: Command, tmp_path: Path, option: str, value: str) -> None:
    refused(command("--out", tmp_path / "out", f"{option}={value}"), option)


def test_several_cards_are_asked_for_beyond_the_last(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    refused(command("--out", tmp_path / "out", "--device", "cuda:2"), "'cuda:2'", "cuda:0 to cuda:1")


@pytest.mark.parametrize("kind", ["absent", "file", "variable"])
def test_data_folder(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    folder = tmp_path / "data"
    if kind == "file":
        folder.write_text("")
    if kind == "variable":
        monkeypatch.setenv("NOPROP_DATA", str(folder))
    given_folder = () if kind == "variable" else ("--data-dir", folder)
    refused(command("--out", tmp_path / "out", *given_folder), str(folder), "expected a folder")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "contents", [b"", b"no gzip", gzip.compress(b"no IDX", mtime=0), gzip.compress(bytes(99), mtime=0)[:-9]]
)
def test_data_files(command: Command, tmp_path: Path, contents: bytes) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    raw.mkdir(parents=True)
    names = itertools.product(("train", "t10k"), ("images-idx3", "labels-idx1"))
    for part, kind in names:
        (raw / f"{part}-{kind}-ubyte.gz").write_bytes(contents)
    ended = command("--out", tmp_path / "out", "--datasets", "digits,mnist", "--data-dir", tmp_path / "data")
    refused(ended, "train-images-idx3-ubyte.gz")
    assert not (tmp_path / "out").exists()


def test_data_that_are_nowhere(command: Command, tmp_path: Path) -> None:
    """The attempt to download is announced, so the sentence is not alone; it is the last line."""
    ended = command("--out", tmp_path / "out", "--datasets", "mnist")
    assert ended.code == 2
    assert ended.lines[-1].startswith("error: MNIST is not in")
    assert "--data-dir" in ended.lines[-1]
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("out", ["file", "file/deeper", "link"])
def test_output_folder(command: Command, tmp_path: Path, out: str) -> None:
    """Below a file and behind a broken link even root cannot write."""
    (tmp_path / "file").write_text("as before")
    (tmp_path / "link").symlink_to(tmp_path / "gone" / "away")
    before = sorted(tmp_path.iterdir())
    refused(command("--out", tmp_path / out), str(tmp_path / out))
    assert sorted(tmp_path.iterdir()) == before
    assert (tmp_path / "file").read_text() == "as before"


def test_in_a_process_of_its_own(plugin: Plugin, tmp_path: Path) -> None:
    """Once with the exit code and the text that a shell really gets."""
    refused(
        plugin.run("--out", tmp_path / "out", "--methods", "noprop", "--device", "cuda"), "'cuda'", "use cpu or auto"
    )
    assert list(tmp_path.iterdir()) == []
