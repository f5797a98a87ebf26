"""`--parallel blocks`: two ranks against one, a rank that is killed, and what is refused before anything starts."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from bench.runner.torchrun.rank_group import merged
from bench.runner.torchrun.rank_info import RankInfo
from bench.training.ranks import share_of
from methods import MethodError
from results.schema import CellResult
from results.store import read_cells, read_run
from tests.bench.conftest import Command
from tests.bench.fakes import FakeCells
from tests.bench.harness import SMALL, Ended, Plugin, finish
from tests.bench.stubs import Recorder
from tests.factories import make_cell, make_config, make_machine, make_run, write_run

NOPROP, VARIANT = "noprop[T=3]", "noprop[T=3,sampler=mean]"
STEPS = 9
"""Of 16 images in an epoch on the 144 training images of `halves`."""


@dataclass(frozen=True)
class Runs:
    """The same cells on two ranks and on one, and the first command's end."""

    ended: Ended
    two: Path
    one: Path

    def row(self, method: str) -> CellResult:
        (row,) = [row for row in read_cells(self.two) if row.method == method]
        return row


@pytest.fixture(scope="module")
def runs(plugin: Plugin, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    out = tmp_path_factory.mktemp("two"), tmp_path_factory.mktemp("one")
    common = ("--datasets", "halves", "--seeds", "0", "--device", "cpu", "--augment", "standard", "--save", *SMALL)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    request = ("--parallel", "blocks", "--methods", f"deserts,{NOPROP},{VARIANT},backprop-plain", "--out", str(out[0]))
    two = plugin.start_program([*torchrun, "-m", "bench.run", *request, *common, "--no-race"])
    one = plugin.start("--methods", f"{NOPROP},{VARIANT}", "--out", out[1], *common)
    ended = finish(two)
    assert finish(one).code == 0
    return Runs(ended, *(next(folder.iterdir()) for folder in out))


def test_a_rank_that_is_killed_ends_its_cell_with_a_sentence_and_the_sweep_goes_on(runs: Runs, plugin: Plugin) -> None:
    row = runs.row("deserts")
    assert row.status == "killed"
    assert row.error == "rank 1 of 2: the cell's process was killed by SIGKILL (out of memory?)"
    assert row.world_size == 2
    assert [row.status for row in read_cells(runs.two)] == ["killed", "ok", "ok", "ok"]
    assert runs.ended.code == 1
    assert f"failed: halves deserts seed 0: {row.error}" in runs.ended.lines
    assert (runs.two / "report.md").exists()
    assert plugin.processes() == []


def test_two_ranks_train_what_one_trains_to_the_bit(runs: Runs) -> None:
    row, (alone, variant) = runs.row(NOPROP), read_cells(runs.one)
    assert row.model_file is not None
    assert alone.model_file is not None
    ours, theirs = load_file(runs.two / row.model_file), load_file(runs.one / alone.model_file)
    assert ours.keys() == theirs.keys()
    assert [name for name in ours if not torch.equal(ours[name], theirs[name])] == []
    assert (row.val_accuracy, row.test_accuracy) == (alone.val_accuracy, alone.test_accuracy)
    assert runs.row(VARIANT).trained_with == NOPROP
    assert runs.row(VARIANT).test_correct == variant.test_correct
    assert row.epochs[0].train_loss == pytest.approx(alone.epochs[0].train_loss, rel=1e-6)


def test_blocks_exchange_nothing_in_training_and_go_to_rank_0_after_it(runs: Runs) -> None:
    row = runs.row(NOPROP)
    assert row.model_file is not None
    state = load_file(runs.two / row.model_file)
    of_rank_1 = sum(tensor.nbytes for name, tensor in state.items() if ".blocks.1." in name)
    assert of_rank_1 > 0
    assert (row.world_size, row.bytes_exchanged_training) == (2, 0)
    assert row.bytes_exchanged_evaluation == of_rank_1 + 16  # and the rank's loss and seconds
    alone, _ = read_cells(runs.one)
    assert (alone.world_size, alone.bytes_exchanged_training, alone.bytes_exchanged_evaluation) == (1, 0, 0)


def test_memory_is_measured_on_every_rank_as_on_one(runs: Runs) -> None:
    """So that rows of one and of two ranks can be held against each other."""
    row, (alone, _) = runs.row(NOPROP), read_cells(runs.one)
    assert row.rss_source == alone.rss_source
    assert row.rss_source is not None
    assert row.rss_rise_bytes is not None


def test_replicas_exchange_all_gradients_at_every_step(runs: Runs) -> None:
    row = runs.row("backprop-plain")
    assert row.data is not None
    assert row.data.n_train // row.config.batch_size == STEPS
    assert row.bytes_exchanged_training == 2 * STEPS * (row.parameter_bytes or 0)
    assert row.bytes_exchanged_evaluation == 16


def test_the_run_says_how_it_was_started(runs: Runs) -> None:
    record = read_run(runs.two)
    assert record.command.startswith("torchrun --nproc-per-node 2 -m bench.run --parallel blocks --methods ")
    assert {cell.config.parallel for cell in record.cells} == {"blocks"}


@pytest.fixture
def two_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rank 0 of a torchrun with two."""
    names = {"TORCHELASTIC_RUN_ID": "none", "RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in names.items():
        monkeypatch.setenv(name, value)


def assert_refused(ended: Ended, out: Path, *parts: str) -> None:
    assert ended.code == 2
    (line,) = ended.lines
    assert [part for part in parts if part not in line] == []
    assert not out.exists()


def test_without_torchrun(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    ended = command("--out", out, "--parallel", "blocks", "--methods", "noprop")
    assert_refused(ended, out, "--parallel blocks", "torchrun --nproc-per-node N -m bench.run")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--methods", "noprop"), ("2 processes", "add --parallel blocks")),
        (("--parallel", "blocks", "--methods", "noprop", "--jobs", "2"), ("--jobs 2", "one cell at a time")),
        (("--parallel", "blocks", "--methods", "noprop[embedding=learned]"), ("'learned'", "embedding=onehot")),
        (
            ("--parallel", "blocks", "--methods", "noprop[classifier_input=output]"),
            ("'output'", "classifier_input=sample"),
        ),
        (("--parallel", "blocks", "--methods", "noprop[T=1]"), ("T=1", "2 processes", "at least one")),
        (("--parallel", "blocks", "--methods", "noprop", "--low-memory"), ("execution=low_memory", "in_turn")),
        (("--parallel", "rows", "--methods", "noprop"), ("'rows'", "blocks")),
    ],
)
@pytest.mark.usefixtures("two_ranks")
def test_what_ranks_cannot_do(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    out = tmp_path / "out"
    assert_refused(command("--out", out, *arguments), out, *parts)


class Unshared(Recorder):
    name = "unshared"


def test_a_method_with_neither_parts_nor_one_loss_is_refused() -> None:
    with pytest.raises(MethodError, match=r"unshared is not accepted .* leave it out of --methods"):
        share_of(Unshared(), 2)
    assert share_of(Unshared(), 1) is None


@pytest.mark.parametrize("ranks", [1, 3])
@pytest.mark.usefixtures("two_ranks")
def test_a_run_is_not_gone_on_with_by_other_ranks(
    command: Command, cells: FakeCells, tmp_path: Path, ranks: int
) -> None:
    config = make_config(parallel="blocks", options={}, threads=1)
    row = make_cell("backprop-plain", "digits", 0, config=config, world_size=ranks)
    later = make_cell("backprop-plain", "digits", 1, config=config)
    run = write_run(tmp_path / "run", [row], make_run([row, later]))
    ended = command("--resume", run)
    assert ended.code == 2
    assert f"which is {ranks}, and here are 2" in ended.err
    assert cells.started == []


def test_a_rank_has_its_own_card() -> None:
    place = RankInfo(rank=5, ranks=8, local_rank=1, local_ranks=4)
    assert (place.device("cpu"), place.device("cuda:0")) == ("cpu", "cuda:1")


def test_one_row_of_all_ranks() -> None:
    """The neediest rank's memory, what it rose from with it; what is sent and used adds up."""
    rows = [
        make_cell(
            peak_rss_bytes=peak,
            baseline_rss_bytes=base,
            rss_rise_bytes=peak - base,
            optimizer_bytes=held,
            bytes_exchanged_training=sent,
            gpu_joules=joules,
            machine=make_machine(foreign_cores=0.9),
            train_seconds=seconds,
        )
        for peak, base, held, sent, joules, seconds in ((900, 500, 40, 7, 1.0, 3.0), (950, 700, 30, 8, 2.0, None))
    ]
    row = merged(rows, one_machine=True)
    assert (row.peak_rss_bytes, row.baseline_rss_bytes, row.rss_rise_bytes) == (950, 700, 250)
    assert (row.optimizer_bytes, row.bytes_exchanged_training, row.gpu_joules) == (40, 15, 3.0)
    assert (row.world_size, row.train_seconds, row.gpu_peak_allocated_bytes) == (2, 3.0, None)
    assert row.machine is not None
    assert row.machine.foreign_cores is None
    assert merged(rows, one_machine=False).cpu_joules is None
    assert CellResult.model_validate(row.model_dump()) == row
