"""`--config` and `--print-config`: what files say of the flags, and a plan that prints as such a file."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from bench import datasets
from bench.planning import plan
from results.schema import PlannedCell
from results.store import read_run
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import refused

FILE = """
methods = ["backprop-plain", "noprop[T=3,sampler=mean]"]
datasets = "digits"
seeds = [4, 2]
epochs = 2
batch_size = 17
lr = 2e-3
weight-decay = 0
threads = 1
device = "cpu"
amp = true
clip = 0.5
lr-schedule = "cosine"
retries = 1
set = { T = 2, sampler = "replace" }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(FILE)
    return path


def planned(command: Command, out: Path, *arguments: object) -> list[PlannedCell]:
    """The plan of a run with these arguments, into a folder of its own."""
    ended = command(*arguments, "--out", out)
    assert ended.code == 0, ended.err
    (run,) = out.iterdir()
    return read_run(run).cells


@pytest.mark.parametrize(
    ("encoding", "mark"),  # some encodings write a byte order mark by themselves
    [("utf-8-sig", ""), ("utf-16", ""), ("utf-16-le", "\ufeff"), ("utf-16-be", "\ufeff"), ("utf-16-le", "")],
)
def test_a_file_may_be_written_by_windows(
    command: Command, cells: FakeCells, tmp_path: Path, file: Path, encoding: str, mark: str
) -> None:
    usual = planned(command, tmp_path / "1", "--config", file)
    file.write_bytes((mark + FILE).replace("\n", "\r\n").encode(encoding))
    assert planned(command, tmp_path / "2", "--config", file) == usual


def test_a_file_says_what_the_command_line_would(
    command: Command, cells: FakeCells, tmp_path: Path, file: Path
) -> None:
    flags = ("--methods", "backprop-plain,noprop[T=3,sampler=mean]", "--seeds", "4,2", "--epochs", 2)
    more = ("--lr", "2e-3", "--weight-decay", 0, "--threads", 1, "--device", "cpu", "--amp", "--retries", 1)
    more += ("--batch-size", 17, "--clip", "0.5", "--lr-schedule", "cosine")
    settings = ("--set", "T=2", "--set", "sampler=replace")
    from_file = planned(command, tmp_path / "1", "--config", file)
    assert from_file == planned(command, tmp_path / "2", *flags, *more, *settings)
    assert [cell.method for cell in from_file[:2]] == ["backprop-plain", "noprop[T=3,sampler=mean]"]
    assert (from_file[0].config.lr, from_file[0].config.amp) == (0.002, True)


def test_the_command_line_wins_over_files_and_the_last_file_over_the_first(
    command: Command, cells: FakeCells, tmp_path: Path, file: Path
) -> None:
    second = tmp_path / "second.toml"
    second.write_text("epochs = 5\nlr = 0.5\npreset = 'standard'")
    given = ("--config", file, "--config", second, "--lr", "0.25", "--methods", "noprop[T=1]", "--seeds", 1)
    (cell,) = planned(command, tmp_path / "out", *given, "--no-amp", "--set", "sampler=mean")
    assert (cell.config.lr, cell.config.epochs, cell.config.batch_size) == (0.25, 5, 17)
    assert (cell.config.preset, cell.method, cell.seed) == ("standard", "noprop[T=1,sampler=mean]", 1)
    assert cell.config.amp is False


def test_assignments_of_files_and_command_line_add_up_and_the_last_of_a_name_wins(
    command: Command, cells: FakeCells, tmp_path: Path
) -> None:
    for name, content in (("one", "T = 3, eta = 0.5, sampler = 'replace'"), ("two", "T = 2")):
        (tmp_path / name).write_text(f"set = {{ {content} }}")
    given = ("--config", tmp_path / "one", "--config", tmp_path / "two", "--methods", "noprop", "--seeds", 1)
    (cell,) = planned(command, tmp_path / "out", *given, "--set", "eta=1", "--set", "sampler = mean")
    assert cell.method == "noprop[T=2,eta=1.0,sampler=mean]"


PLANS: dict[str, tuple[object, ...]] = {
    "defaults": ("--methods", "noprop,backprop-plain"),
    "all": ("--methods", "all", "--preset", "paper", "--seeds", "7"),
    "epochs by data set": ("--methods", "backprop-plain", "--datasets", "digits,other", "--device", "auto"),
    "low memory": ("--methods", "noprop,backprop[T=2]", "--low-memory", "--set", "T=3", "--set", "eta=0.5"),
    "everything": (
        *("--methods", "backprop,noprop[T=1,sampler=mean]", "--seeds", "3,1", "--epochs", 1, "--batch-size", 9),
        *("--lr", "1e-4", "--weight-decay", 0, "--train-size", 50, "--threads", 3, "--amp", "--jobs", 2),
        *("--timeout", "9.5", "--retries", 2, "--save", "--margin-accuracy", 1, "--margin-memory", 7),
    ),
}


@pytest.mark.parametrize("arguments", PLANS.values(), ids=PLANS)
def test_what_is_printed_makes_the_same_plan(
    command: Command,
    cells: FakeCells,
    tmp_path: Path,
    second_dataset: str,
    arguments: tuple[object, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(plan, "has_bfloat16", lambda _: True)
    printed = command("--out", tmp_path / "out", "--print-config", *arguments)
    assert (printed.code, printed.err, cells.started) == (0, "", [])
    assert list(tmp_path.iterdir()) == []
    file = tmp_path / "printed.toml"
    file.write_text(printed.out)
    given = planned(command, tmp_path / "1", *arguments)
    assert planned(command, tmp_path / "2", "--config", file) == given
    assert command("--config", file, "--print-config").out == printed.out


def test_what_is_printed_is_what_everything_comes_to(command: Command, tmp_path: Path, second_dataset: str) -> None:
    printed = tomllib.loads(command("--print-config", "--methods", "noprop", "--set", "T=3", "--threads", 5).out)
    assert (
        printed.items()
        >= {
            "methods": ["noprop[T=3]"],
            "seeds": [0, 1, 2],
            "epochs": datasets.get("digits").epochs["quick"],
            "lr": 0.001,
            "device": "cpu",
            "threads": 5,
            "amp": False,
            "out": "results/runs",
        }.items()
    )
    assert {"timeout", "resume", "list", "help", "config"}.isdisjoint(printed)


def test_what_is_not_one_value_is_left_open_and_said(command: Command, second_dataset: str) -> None:
    out = command("--print-config", "--methods", "backprop-plain", "--datasets", "digits,other").out
    assert "epochs" not in tomllib.loads(out)
    assert f"# epochs: {datasets.get('digits').epochs['quick']} on digits; 3 on other\n" in out


def test_a_flag_without_a_field_needs_no_list_of_flags(command: Command, tmp_path: Path) -> None:
    """Every long flag is a key, whoever adds it; only what speaks of the call itself is none."""
    unknown = tmp_path / "unknown.toml"
    unknown.write_text("nothing-like-it = 1")
    accepted = command("--config", unknown).err.strip().rpartition("accepted: ")[-1].split(", ")
    helped = {line.split()[0] for line in command("--help").out.splitlines() if line.startswith("  --")}
    assert {f"--{key}" for key in accepted} - {"--tuned"} == helped - {"--config", "--print-config", "--list", "--help"}


REFUSED = [
    ("epocs = 3", ("unknown key 'epocs' in", "did you mean 'epochs'")),
    ("wieght_decay = 3", ("unknown key 'wieght_decay' in", "did you mean 'weight-decay'")),
    ("config = 'other.toml'", ("unknown key 'config' in",)),
    ("epochs = 0", ("'epochs' in", "'0' is not a whole number from 1 to")),
    ("epochs = 1.5", ("'epochs' in", "'1.5' is not a whole number from 1 to")),
    ("epochs = true", ("'epochs' in", "'true' is not a whole number from 1 to")),
    ("epochs = [1, 2]", ("'epochs' in", "'1,2' is not a whole number from 1 to")),
    ("lr = nan", ("'lr' in", "'nan' is not a finite number above 0")),
    ("lr = 2024-01-01", ("'lr' in", "'2024-01-01' is not a finite number above 0")),
    ("seeds = []", ("'seeds' in", "a,b,c")),
    ("seeds = [0, [1]]", ("'seeds' in", "give plain values")),
    ("seeds = [0, 'x']", ("'seeds' in", "'x' is not a whole number from 0 to")),
    ("device = { name = 'cpu' }", ("'device' in", "a table is not accepted")),
    ("amp = 'yes'", ("'amp' in", "'yes' is not accepted; give true or false")),
    ("amp = [true]", ("'amp' in", "[True] is not accepted; give true or false")),
    ("parallel = 'sideways'", ("'parallel' in", "'sideways'", "blocks")),
    ("data_dir = ''", ("'data_dir' in", "empty")),
    ("batch-size = 4\nbatch_size = 4", ("'batch-size' twice",)),
    ("epochs = 1\nlr = \n", ("not valid TOML", "line 2")),
    ("epochs = 1\nepochs = 2\n", ("not valid TOML", "line 2")),
    ("epochs = " + "[" * 2000, ("not valid TOML", "nested too deeply")),
    ("tuned = 'x'", ("'tuned' in", "is no table")),
    ("methods = 'nope'", ("unknown method 'nope'",)),
    ("set = { depth = 3 }", ("'depth'",)),
    ("set = ['T']", ("'T'", "NAME=VALUE")),
]


@pytest.mark.parametrize(("content", "quotes"), REFUSED, ids=[content[:40] for content, _ in REFUSED])
def test_what_a_file_may_not_say(
    command: Command, cells: FakeCells, tmp_path: Path, content: str, quotes: tuple[str, ...]
) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(content)
    ended = command("--out", tmp_path / "out", "--config", file)
    refused(ended, *quotes)
    assert str(file) in ended.err or "unknown method" in ended.err or "option" in ended.err
    assert cells.started == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["absent", "folder", "binary"])
def test_a_file_that_cannot_be_read(command: Command, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "folder":
        path.mkdir()
    if kind == "binary":
        path.write_bytes(b"\xff\xfe\x00")
    refused(command("--out", tmp_path / "out", "--config", path), repr(str(path)))


def test_a_resumed_run_keeps_its_settings(command: Command, cells: FakeCells, tmp_path: Path, file: Path) -> None:
    """Its own from a file are no news; others are refused as on the command line."""
    assert command("--out", tmp_path / "out", "--config", file).code == 0
    (run,) = (tmp_path / "out").iterdir()
    del cells.started[:]
    assert command("--resume", run, "--config", file).code == 0
    printed = tmp_path / "printed.toml"
    printed.write_text(command("--config", file, "--print-config").out)
    assert command("--resume", run, "--config", printed).code == 0
    file.write_text(FILE.replace("epochs = 2", "epochs = 3"))
    refused(command("--resume", run, "--config", file), "--epochs (the run has 2, given is 3)")
    refused(command("--resume", run, "--print-config"), "--print-config is not accepted with --resume")
    assert cells.started == []


@pytest.mark.parametrize(
    ("given", "counts", "how"),
    [
        (
            ("--methods", "noprop", "--methods=dfa"),
            'methods = ["dfa"]',
            ", 'dfa'; several values go into one, with commas",
        ),
        (("--seeds", "1", "--seeds", "2"), "seeds = [2]", ", '2'; several values go into one, with commas"),
        (("--epochs", "1", "--epochs", "3"), "epochs = 3", ", '3'"),
        (("--amp", "--no-amp"), "amp = false", ""),
    ],
    ids=str,
)
def test_of_an_option_given_twice_the_last_counts_and_that_is_said(
    command: Command, given: tuple[str, ...], counts: str, how: str
) -> None:
    ended = command(*given, "--print-config")
    assert ended.code == 0
    assert counts in ended.out.splitlines()
    assert f"note: {given[0]} is given 2 times and the last one counts{how}\n" in ended.err
