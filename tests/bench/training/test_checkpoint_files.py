"""The files of a checkpoint: damaged, foreign, half written, in the way, and those of several ranks."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.training import checkpoint
from bench.training.checkpoint import CheckpointError, Checkpoints, Progress
from bench.training.ranks import Ranks
from bench.training.updates import Updates
from results.store import encode, split_checksum
from tests.bench.stubs import recorder
from tests.factories import make_cell, make_run

(CELL, OTHER) = make_run([make_cell(seed=3), make_cell(seed=4)]).cells


def checkpoints_in(folder: Path, ranks: Ranks) -> Checkpoints:
    return Checkpoints(folder / "cell", 1, ranks, "the code")


def updates() -> Updates:
    return Updates(CELL.config, steps=1)


def write(checkpoints: Checkpoints, epoch: int) -> Exception | None:
    parts: dict[str, Any] = {"epochs": [], "measured": {}, "wall_seconds": 1.0, "machines": ["elsewhere"]}
    parts |= {"images": 9, "pending_seconds": 0.0}
    return checkpoints.write(recorder(), updates(), cell=CELL, fingerprint="its", epoch=epoch, **parts)


def read(folder: Path) -> Progress | None:
    return checkpoints_in(folder, Ranks()).read(recorder(), updates(), CELL, "its")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def second(tmp_path: Path) -> Path:
    """The folder with a checkpoint of the second epoch."""
    write(checkpoints_in(tmp_path, Ranks()), 2)
    assert names(tmp_path) == [DESCRIPTION, TENSORS]
    return tmp_path


TENSORS, DESCRIPTION = "cell.2.safetensors", "cell.2.json"


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    """The highest bit of the middle byte: no longer UTF-8 in a text."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x80
    path.write_bytes(content)


def in_place_of_a_file(path: Path) -> None:
    path.unlink()
    path.mkdir()


def say(**fields: Any) -> Callable[[Path], None]:
    """Something else, in a description that is whole."""

    def change(path: Path) -> None:
        said = Progress.model_validate_json(split_checksum(path.read_bytes())[0])
        path.write_bytes(encode(said.model_copy(update=fields)))

    return change


@pytest.mark.parametrize(
    ("name", "damage", "why"),
    [
        (TENSORS, cut, "its tensors do not match their checksum"),
        (TENSORS, flip, "its tensors do not match their checksum"),
        (TENSORS, Path.unlink, "it cannot be read: FileNotFoundError"),
        (DESCRIPTION, cut, "its description does not match its checksum"),
        (DESCRIPTION, flip, "its description does not match its checksum"),
        (DESCRIPTION, in_place_of_a_file, "it cannot be read: IsADirectoryError"),
        (DESCRIPTION, say(version=2), "it is of another version of the code"),
        (DESCRIPTION, say(code="0" * 64), "it is of another version of the code"),
        (DESCRIPTION, say(torch="1.0"), "it is of another version of PyTorch"),
        (DESCRIPTION, say(epoch=3), "it is of another cell"),
        (DESCRIPTION, say(cell=OTHER), "it is of another cell"),
        (DESCRIPTION, say(fingerprint="other"), "it is of other data"),
        (DESCRIPTION, say(variants={"other": []}), "it is of other variants"),
    ],
)
def test_what_cannot_be_used_is_told_in_a_clause(
    name: str, damage: Callable[[Path], None], why: str, second: Path
) -> None:
    damage(second / name)
    with pytest.raises(CheckpointError) as raised:
        read(second)
    assert str(raised.value).startswith(why)


def test_another_machine_goes_on_and_is_named(second: Path) -> None:
    progress = read(second)
    assert progress is not None
    assert (progress.epoch, progress.machines[0], len(progress.machines)) == (2, "elsewhere", 2)


def no_space(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def no_tensor(*_: Any) -> None:
    raise AttributeError("'int' object has no attribute 'detach'")  # in the state of a plug-in's optimiser


@pytest.mark.parametrize("fail", [no_space, no_tensor])
@pytest.mark.parametrize("step", ["_tensors", "save_file", "encode"])
def test_what_cannot_be_written_leaves_the_one_before(
    fail: Any, step: str, second: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in second.iterdir()}
    monkeypatch.setattr(checkpoint, step, fail)
    assert isinstance(write(checkpoints_in(second, Ranks()), 3), OSError | AttributeError)
    assert {path.name: path.read_bytes() for path in second.iterdir()} == before


def test_what_killed_processes_left_is_removed(second: Path) -> None:
    for name in ("cell.part", "cell.3.part", "cell.9.safetensors", "cells.json"):
        (second / name).touch()
    write(checkpoints_in(second, Ranks()), 3)
    assert names(second) == ["cell.3.json", "cell.3.safetensors", "cells.json"]


class Alone(Ranks):
    """Its peer has died."""

    def least(self, number: int) -> int:
        raise RuntimeError("Connection closed by peer")


def test_a_rank_that_dies_is_no_disk_that_is_full(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="closed by peer"):
        write(checkpoints_in(tmp_path, Alone(0, 2)), 2)


class TwoRanks(Ranks):
    """The lead of two, and what the other says."""

    def __init__(self, *other: int) -> None:
        super().__init__(0, 2)
        self._other = list(other)

    def least(self, number: int) -> int:
        return min(number, self._other.pop(0))


def test_ranks_keep_and_read_the_newest_that_all_of_them_have(tmp_path: Path) -> None:
    checkpoints = checkpoints_in(tmp_path, TwoRanks(True, True, False, 2, True, 0, 2, False))
    for epoch in (1, 2, 3):
        write(checkpoints, epoch)
    assert names(tmp_path) == ["cell.rank0of2.2.json", "cell.rank0of2.2.safetensors"]
    progress = checkpoints.read(recorder(), updates(), CELL, "its")
    assert progress is not None
    assert progress.epoch == 2
    assert checkpoints.read(recorder(), updates(), CELL, "its") is None
    with pytest.raises(CheckpointError, match="another rank's cannot be used"):
        checkpoints.read(recorder(), updates(), CELL, "its")
