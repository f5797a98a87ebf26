"""`python -m bench.predict`: a trained model on pictures, as a user calls it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from bench import datasets, predict
from bench.models import ModelCard, load_model, save_model
from methods.core.method import TaskShape
from results.store import read_cells
from tests.bench.harness import PROJECT, Ended, Plugin, call
from tests.bench.test_models import rewrite
from tests.methods.helpers import build, train

MEAN, STD = 0.3, 0.35
TRAINED_ON = 1000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of real digits, trained on the first thousand in the form in which pictures come."""
    digits = load_digits()
    x = (torch.tensor(np.floor(digits.images * 255 / 16), dtype=torch.float32).unsqueeze(1) / 255 - MEAN) / STD
    method = build("noprop", T=2, sampler="mean")
    train(method, x[:TRAINED_ON], torch.tensor(digits.target[:TRAINED_ON]), epochs=10)
    path = tmp_path_factory.mktemp("model") / "digits.safetensors"
    save_model(path, method, card(mean=[MEAN], std=[STD], options=method.options.as_dict()))
    return path


def card(**changes: object) -> ModelCard:
    values = {
        "method_name": "noprop",
        "options": {},
        "shape": {"channels": 1, "height": 8, "width": 8, "num_classes": 10},
        "class_names": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
        "mean": [0.0],
        "std": [1.0],
        "dataset": "digits",
        "seed": 0,
        "epochs": 10,
        "val_accuracy": 0.9,
        "test_accuracy": 0.9,
        "commit": None,
    }
    return ModelCard.model_validate(values | changes)


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Twenty digits that were not trained on, as PNG files named by their class."""
    digits = load_digits()
    paths = []
    for k in range(TRAINED_ON, TRAINED_ON + 20):
        paths.append(tmp_path / f"{digits.target[k]}-{k}.png")
        Image.fromarray((digits.images[k] * 255 / 16).astype(np.uint8)).save(paths[-1])
    return paths


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    return lambda *arguments: call(predict.main, "bench.predict", arguments, monkeypatch, capsys)


def answers(ended: Ended) -> list[dict[str, object]]:
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


def test_names_the_class_of_real_digits(command, model: Path, pictures: list[Path]) -> None:  # type: ignore[no-untyped-def]
    names = card().class_names
    said = answers(command(model, *pictures, "--json"))
    right = [
        names[int(Path(str(line["image"])).name[0])] == line["classes"][0]["class"]  # type: ignore[index]
        for line in said
    ]
    assert len(right) == 20
    assert sum(right) >= 17


def test_table_has_a_line_for_each_image(command, model: Path, pictures: list[Path]) -> None:  # type: ignore[no-untyped-def]
    ended = command(model, *pictures[:3])
    lines = ended.out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == [str(path) for path in pictures[:3]]
    assert all(0.1 <= float(line.split()[2]) <= 1 for line in lines[2:])
    assert ended.err == ""


def test_top_classes_come_in_order_and_sum_to_one(command, model: Path, pictures: list[Path]) -> None:  # type: ignore[no-untyped-def]
    (line,) = answers(command(model, pictures[0], "--json", "--top", 50))
    probabilities = [each["probability"] for each in line["classes"]]  # type: ignore[attr-defined]
    assert len(probabilities) == 10
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) == pytest.approx(1, abs=1e-5)


def test_an_answer_does_not_depend_on_the_other_images(command, model: Path, pictures: list[Path]) -> None:  # type: ignore[no-untyped-def]
    together = answers(command(model, *pictures[:4], "--json"))
    alone = [answers(command(model, path, "--json"))[0] for path in pictures[:4]]
    assert together == alone


def test_a_large_colour_picture_is_resized_and_said_to_be(  # type: ignore[no-untyped-def]
    command, model: Path, pictures: list[Path], tmp_path: Path
) -> None:
    large = tmp_path / "large.png"
    Image.open(pictures[0]).convert("RGB").resize((80, 80), Image.Resampling.NEAREST).save(large)
    ended = command(model, large, pictures[0], "--json")
    assert ended.err == "1 of 2 images resized to 8x8 pixels\n"
    first, second = answers(ended)
    assert first["classes"][0]["class"] == second["classes"][0]["class"]  # type: ignore[index]
    assert first["classes"][0]["probability"] == pytest.approx(second["classes"][0]["probability"], abs=0.15)  # type: ignore[index]


def refused(ended: Ended, *said: str) -> None:
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.startswith("error: ")
    assert ended.err.count("\n") == 1
    for words in said:
        assert words in ended.err


def test_no_image_is_printed_where_one_cannot_be_read(
    command, model: Path, pictures: list[Path], tmp_path: Path
) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "notes.png").write_text("not a picture")
    half = tmp_path / "half.png"
    half.write_bytes(pictures[0].read_bytes()[:60])
    for bad in (tmp_path / "notes.png", half, tmp_path / "absent.png", tmp_path):
        refused(command(model, pictures[0], bad), str(bad))


def test_a_model_that_cannot_be_used_is_refused(command, pictures: list[Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    refused(command(tmp_path / "none.safetensors", pictures[0]), "none.safetensors")
    refused(command(pictures[0], pictures[0]), str(pictures[0]))


def test_pictures_have_one_or_three_channels(command, pictures: list[Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "two.safetensors"
    method = build("backprop-plain", shape=TaskShape(2, 8, 8, 10))
    shape = {"channels": 2, "height": 8, "width": 8, "num_classes": 10}
    save_model(path, method, card(method_name="backprop-plain", shape=shape, mean=[0.0, 0.0], std=[1.0, 1.0]))
    refused(command(path, pictures[0]), "2 channels")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "MODEL"), (("--top", "0"), "--top"), (("--seed", "-1"), "--seed"), (("--device", "tpu"), "tpu")],
)
def test_bad_arguments(command, model: Path, pictures: list[Path], arguments: tuple[str, ...], said: str) -> None:  # type: ignore[no-untyped-def]
    given = (model, pictures[0], *arguments) if arguments else ()
    refused(command(*given), said)


def test_from_training_to_prediction(plugin: Plugin, tmp_path: Path) -> None:
    """`--save`, then the command in a process of its own on the test images: as accurate as the run says."""
    given = ("--methods", "backprop-plain", "--seeds", "0", "--epochs", "8", "--threads", "1", "--save")
    assert plugin.run("--out", tmp_path, *given).code == 0
    (run,) = tmp_path.iterdir()
    (row,) = read_cells(run)
    assert row.model_file is not None
    raw = datasets.get("digits").load(None)
    paths = [tmp_path / f"{k}.png" for k in range(len(raw.y_test))]
    for path, pixels in zip(paths, raw.x_test, strict=True):
        Image.fromarray(pixels[0]).save(path)
    ended = subprocess.run(
        [sys.executable, "-m", "bench.predict", run / row.model_file, *paths, "--json"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    said = [json.loads(line)["classes"][0]["class"] for line in ended.stdout.splitlines()]
    right = sum(name == str(label) for name, label in zip(said, raw.y_test, strict=True))
    assert row.test_accuracy is not None
    assert row.test_accuracy > 0.9
    # One image at a time is not computed in the order in which a batch is: a tie might fall the other way.
    assert right == pytest.approx(row.test_accuracy * len(said), abs=1)
    assert ended.stderr == ""


def only_image(tmp_path: Path, picture: Image.Image, kind: str = "png", **how: object) -> Path:
    path = tmp_path / f"one.{kind}"
    picture.save(path, **how)
    return path


@pytest.mark.parametrize("kind", ["16 bits", "floats"])
def test_deep_pixels_are_refused(command, model: Path, tmp_path: Path, kind: str) -> None:  # type: ignore[no-untyped-def]
    """Pillow would cut them off at 255, and a grey picture would be white."""
    pixels = np.full((8, 8), 20_000, np.uint16) if kind == "16 bits" else np.full((8, 8), 0.5, np.float32)
    refused(command(model, only_image(tmp_path, Image.fromarray(pixels), "tiff")), "one.tiff", "8 bits")


def test_what_is_transparent_is_black(command, model: Path, pictures: list[Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    """The digit is in the opacity alone: white on white where that is left out."""
    white = Image.new("RGBA", (8, 8), "white")
    white.putalpha(Image.open(pictures[0]))
    (opaque,) = answers(command(model, pictures[0], "--json"))
    (transparent,) = answers(command(model, only_image(tmp_path, white), "--json"))
    assert transparent["classes"] == opaque["classes"]


def test_a_picture_is_turned_as_its_camera_says(command, model: Path, pictures: list[Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    upright = Image.open(pictures[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be turned by 90 degrees clockwise
    turned = only_image(tmp_path, upright.transpose(Image.Transpose.ROTATE_90), exif=exif)
    (first,), (second,) = (answers(command(model, path, "--json")) for path in (pictures[0], turned))
    assert first["classes"] == second["classes"]


def test_seed_sets_the_noise(command, model: Path, pictures: list[Path]) -> None:  # type: ignore[no-untyped-def]
    said = [command(model, pictures[0], "--json", "--seed", seed).out for seed in (1, 1, 2)]
    assert said[0] == said[1] != said[2]


@pytest.fixture
def other(model: Path, tmp_path: Path) -> Path:
    """A copy of the model, to be changed."""
    path = tmp_path / "other.safetensors"
    path.write_bytes(model.read_bytes())
    return path


def test_more_steps_than_are_accepted(command, pictures: list[Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "patient.safetensors"
    method = build("noprop-fm", steps=2)
    save_model(path, method, card(method_name="noprop-fm", options=method.options.as_dict()))
    rewrite(path, options=method.options.as_dict() | {"steps": 10**12})
    refused(command(path, pictures[0]), "patient.safetensors", "from 1 to 100,000")


def test_numbers_that_are_none(command, model: Path, pictures: list[Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    trained = load_model(model)
    with torch.no_grad():
        for parameter in trained.method.parameters():
            parameter.fill_(torch.nan)
    save_model(tmp_path / "nan.safetensors", trained.method, trained.card)
    refused(command(tmp_path / "nan.safetensors", pictures[0]), "nan.safetensors", "finite")


def test_names_cannot_steer_a_terminal(command, other: Path, pictures: list[Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    rewrite(other, class_names=["\x1b[2J\n"] * 10)
    odd = tmp_path / os.fsdecode(b"a\xff\n.png")
    odd.write_bytes(pictures[0].read_bytes())
    ended = command(other, odd)
    assert ended.code == 0
    assert "\\x1b[2J\\n" in ended.out
    assert "a\\udcff\\n.png" in ended.out
    assert len(ended.out.splitlines()) == 3


def test_a_pipe_is_not_waited_for(command, model: Path, pictures: list[Path], tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    os.mkfifo(tmp_path / "pipe")
    refused(command(model, tmp_path / "pipe"), "pipe")
    refused(command(tmp_path / "pipe", pictures[0]), "pipe")


def test_a_picture_of_too_many_pixels(  # type: ignore[no-untyped-def]
    command, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused before its pixels are unpacked; the limit is Pillow's."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for side in (40, 400):
        refused(command(model, only_image(tmp_path, Image.new("L", (side, side)))), "one.png")
