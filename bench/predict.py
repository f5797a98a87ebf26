"""`python -m bench.predict MODEL IMAGES...`: classify images with a trained model.

Exit codes: 0 every image was classified; 2 the model or an image cannot be used, and nothing was printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

import click

from bench.commandline.exit_codes import exits
from bench.commandline.flags import output, where
from bench.commandline.help import Command, group
from bench.commandline.params import Whole
from bench.datasets.formats.image_file import MODES, read_picture, stretched
from bench.errors import UserError
from results.files import printable

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from bench.models import ModelCard, TrainedModel

MAX_NUMBERS = 2**28
"""Numbers that a method may allocate per image, 1 GiB: a file may ask for any number of steps."""


@click.command(cls=Command)
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@group("How to predict")("--seed", type=Whole(0, 2**63 - 1), default=0, help="Seed of the method's initial noise.")
@where("--device", default="cpu", metavar="NAME", help="auto, cpu, cuda or cuda:N.")
@output("--top", type=Whole(1), default=1, help="Classes to print per image, most probable first.")
@output("--json", "as_json", is_flag=True, help="Print one JSON object per image instead of a table.")
def cli(model: Path, images: tuple[Path, ...], top: int, seed: int, device: str, as_json: bool) -> None:
    """Classify IMAGES with MODEL, a file saved by python -m bench.run --save.

    Images are converted to the model's channels and size; transparent pixels become black. Colours are not inverted:
    give white on black if the training images were, as in MNIST.
    """
    import torch

    from bench.models import load_model
    from bench.planning.plan import resolve_device

    used = torch.device(resolve_device(device))
    trained = load_model(model, used)
    card = trained.card
    if card.shape.channels not in MODES:
        raise UserError(f"{model} needs {card.shape.channels} channels; images have 1 (grey) or 3 (colour)")
    pictures = [_read(path, card) for path in images]
    if resized := sum(was_resized for _, was_resized in pictures):
        shape = card.shape
        print(f"{resized} of {len(images)} images resized to {shape.width}x{shape.height} pixels", file=sys.stderr)
    try:
        probabilities = _predict(trained, torch.stack([pixels for pixels, _ in pictures]), used, seed)
    except Exception as error:  # files are not to be trusted
        raise UserError(f"{model} cannot be used to predict: {shorten(str(error), 200)}") from None
    if not probabilities.isfinite().all():
        raise UserError(f"{model} cannot be used to predict: its output is not finite")
    top_k = probabilities.topk(min(top, card.shape.num_classes), dim=1)
    found = [
        [(card.class_names[k], p) for k, p in zip(classes, values, strict=True)]
        for classes, values in zip(top_k.indices.tolist(), top_k.values.tolist(), strict=True)
    ]
    if not as_json:
        print(_table(images, found))
        return
    for path, best in zip(images, found, strict=True):
        print(json.dumps({"image": str(path), "classes": [{"class": name, "probability": p} for name, p in best]}))


def _predict(trained: TrainedModel, pixels: Tensor, device: torch.device, seed: int) -> Tensor:
    """Class probabilities, (N, num_classes), of images, uint8, (N, channels, height, width).

    One image at a time, each with the same noise, so that an image's result does not depend on the others.

    Raises:
        AllocationLimitError: the method asks for more than `MAX_NUMBERS`.
    """
    import torch

    from bench.models import AllocationLimit
    from bench.training.loop import normalised, per_channel

    mean, std = (per_channel(values, device) for values in (trained.card.mean, trained.card.std))
    logits = []
    for image in torch.split(pixels.to(device), 1):
        with torch.no_grad(), AllocationLimit(MAX_NUMBERS):
            generator = torch.Generator(device).manual_seed(seed)
            logits.append(trained.method.predict(normalised(image, mean, std), generator))
    return torch.cat(logits).softmax(dim=1).cpu()


def _read(path: Path, card: ModelCard) -> tuple[Tensor, bool]:
    """Pixels, uint8, (channels, height, width), and whether the image was resized.

    Raises:
        UserError: it is not an image, or has more than 8 bits per channel.
    """
    import numpy as np
    import torch

    picture = read_picture(path, card.shape.channels)
    size = (card.shape.width, card.shape.height)
    values = np.array(stretched(picture, size)).reshape(card.shape.height, card.shape.width, -1)
    return torch.from_numpy(values).permute(2, 0, 1), picture.size != size


def _table(images: tuple[Path, ...], found: list[list[tuple[str, float]]]) -> str:
    from tabulate import tabulate

    top = len(found[0])
    names = [f"class {k}" for k in range(1, top + 1)] if top > 1 else ["class"]
    headers = ["image", *(header for name in names for header in (name, "probability"))]
    rows = [
        [printable(path), *(value for name, p in best for value in (printable(name), f"{p:.4f}"))]
        for path, best in zip(images, found, strict=True)
    ]
    return tabulate(rows, headers=headers, disable_numparse=True)


main = exits(cli, "python -m bench.predict")

if __name__ == "__main__":
    main()
