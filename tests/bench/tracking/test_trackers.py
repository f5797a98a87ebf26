"""The built-in trackers as the harness calls them: what is in their files, without a network or an account."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.tracking.content import ending, history, settings
from bench.tracking.tracking import Tracking
from results.schema import CellResult
from tests.factories import MIB, make_cell, make_config, make_failed_cell, make_tuning


def log(tracker: str, run: Path, capfd: pytest.CaptureFixture[str], *cells: CellResult) -> list[str]:
    """Log the cells; the lines that the user sees."""
    tracking = Tracking(tracker, run)
    for cell in cells:
        tracking.log(cell)
    return capfd.readouterr().err.splitlines()


def test_what_is_told_of_a_cell_has_the_names_of_the_results() -> None:
    cell = make_cell("noprop[T=20]", config=make_config(options={"T": 20, "eta": 0.1}), test_accuracy=0.9)
    told = settings(cell)
    assert (told["method"], told["seed"], told["options.T"], told["lr"]) == ("noprop[T=20]", 0, 20, 1e-3)
    assert "options" not in told
    assert [values["val_accuracy"] for values in history(cell).values()] == [e.val_accuracy for e in cell.epochs]
    assert ending(cell)["test_accuracy"] == 0.9
    tuning = settings(make_cell(config=make_config(tuning=make_tuning())))
    assert tuning["tuning.trials"] == 20
    assert not any(isinstance(value, dict) for value in tuning.values())
    assert "gpu_peak_allocated_bytes" not in ending(cell)
    assert ending(make_cell(gpu_peak_allocated_bytes=MIB))["gpu_peak_allocated_bytes"] == MIB


@pytest.fixture
def no_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the user's own settings of W&B, and no server."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_DIR", "WANDB_PROJECT", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # where nothing listens
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HOME", "WANDB_CONFIG_DIR", "WANDB_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "home"))


def log_records(content: bytes) -> Iterator[bytes]:
    """The records of a file in LevelDB's log format after W&B's own 7 bytes at its beginning."""
    position, record = 7, b""
    while position + 7 <= len(content):
        if (left := 32768 - position % 32768) < 7:  # too little for a header: the block's padding
            position += left
            continue
        length, kind = struct.unpack_from("<HB", content, position + 4)
        record += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # a record whole, or its last part
            yield record
            record = b""


def wandb_records(folder: Path) -> dict[str, Any]:
    """What W&B would send of the one offline run in a folder: its name, group, settings, history and summary."""
    from wandb.proto.wandb_internal_pb2 import Record

    (file,) = folder.glob("offline-run-*/*.wandb")
    found: dict[str, Any] = {"history": [], "summary": {}}
    for data in log_records(file.read_bytes()):
        record = Record()
        record.ParseFromString(data)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            found |= {"name": record.run.display_name, "group": record.run.run_group, "project": record.run.project}
            found["config"] = {item.key: json.loads(item.value_json) for item in record.run.config.update}
        elif kind == "history":
            items = record.history.item
            found["history"].append({item.key or item.nested_key[0]: json.loads(item.value_json) for item in items})
        elif kind == "summary":
            items = record.summary.update
            found["summary"] |= {item.key or item.nested_key[0]: json.loads(item.value_json) for item in items}
        elif kind == "exit":
            found["exit_code"] = record.exit.exit_code
    return found


def test_wandb_works_offline_without_an_account(
    no_account: None, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    cell = make_cell("noprop[T=20]", "digits", 3, epochs=2)
    (said,) = log("wandb", tmp_path, capfd, cell)
    assert said.startswith("note: Weights & Biases works offline (")
    assert "API key" in said
    assert f"its files are in {tmp_path / 'wandb'}" in said
    found = wandb_records(tmp_path / "wandb")
    assert (found["name"], found["group"], found["project"]) == (
        "digits/noprop[T=20]/seed3",
        cell.run_id,
        "noprop-bench",
    )
    assert {name: found["config"][name] for name in settings(cell)} == settings(cell)
    assert [entry["_step"] for entry in found["history"]] == [1, 2]
    assert [entry["val_accuracy"] for entry in found["history"]] == [epoch.val_accuracy for epoch in cell.epochs]
    assert found["summary"]["test_accuracy"] == cell.test_accuracy
    assert found["summary"]["status"] == "ok"
    assert found["exit_code"] == 0


def test_wandb_that_cannot_be_reached_is_used_offline_in_the_user_s_own_folder_and_a_failed_cell_is_one(
    no_account: None, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    (said,) = log("wandb", tmp_path / "run", capfd, make_failed_cell(error="no such luck"))
    assert "http://127.0.0.1:9 cannot be reached" in said
    assert f"its files are in {tmp_path / 'wandb'}" in said
    found = wandb_records(tmp_path / "wandb")
    assert (found["summary"]["status"], found["summary"]["error"], found["exit_code"]) == ("error", "no such luck", 1)


def test_tensorboard_has_a_folder_a_cell_with_every_epoch_and_the_final_figures(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    config = make_config(train_size=None, tuning=make_tuning())
    cell = make_cell("noprop", "digits", 3, epochs=2, config=config)
    assert log("tensorboard", tmp_path, capfd, cell, make_failed_cell("noprop", "digits", 4)) == [
        f"note: to see it in TensorBoard: tensorboard --logdir {tmp_path / 'tensorboard'}"
    ]
    assert {folder.name for folder in (tmp_path / "tensorboard").iterdir()} == {
        "digits.noprop.seed3",
        "digits.noprop.seed4",
    }
    events = EventAccumulator(str(tmp_path / "tensorboard" / "digits.noprop.seed3"))
    events.Reload()
    accuracy = [(event.step, event.value) for event in events.Scalars("val_accuracy")]
    assert accuracy == [(epoch.epoch, pytest.approx(epoch.val_accuracy)) for epoch in cell.epochs]
    (final,) = events.Scalars("final/test_accuracy")
    assert final.value == pytest.approx(cell.test_accuracy)
    assert {"_hparams_/session_start_info", "_hparams_/session_end_info"} <= events.summary_metadata.keys()


def test_a_folder_that_cannot_be_made_is_one_warning(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "tensorboard").write_text("in the way")
    (warning,) = log("tensorboard", tmp_path, capfd, make_cell(seed=0), make_cell(seed=1))
    assert warning.startswith("warning: tensorboard could not log mnist backprop seed 0 (")
