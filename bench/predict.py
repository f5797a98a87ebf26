"""The command line of a trained model: `python -m bench.predict MODEL IMAGES...` prints class and probability.

Exit codes: 0 every image was classified; 2 the model or an image cannot be used, and nothing was printed.
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from torch import Tensor

    from bench.models import ModelCard, TrainedModel


@click.command(context_settings={"show_default": True, "max_content_width": 110})
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("images", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--top", type=click.IntRange(min=1), default=1, help="Print this many classes, most probable first.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=0, help="Of the noise that the method starts from.")
@click.option("--device", default="cpu", help="auto, cpu, cuda or cuda:N.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line instead of a table.")
def cli(model: Path, images: tuple[Path, ...], top: int, seed: int, device: str, as_json: bool) -> None:
    """Classify IMAGES with MODEL, a file that python -m bench.run --save made.

    Images are read as grey or colour as the model needs, and resized to its size where theirs is another. Nothing else
    is done to them: where a data set is white on black, as MNIST is, pictures must be so too.
    """
    import torch

    from bench.models import load_model
    from bench.plan import resolve_device

    trained = load_model(model, torch.device(resolve_device(device)))
    card = trained.card
    pictures = [_read(path, card) for path in images]
    if resized := sum(was_resized for _, was_resized in pictures):
        shape = card.shape
        print(f"{resized} of {len(images)} images resized to {shape.width}x{shape.height} pixels", file=sys.stderr)
    probabilities = _predict(trained, torch.stack([pixels for pixels, _ in pictures]), seed)
    best = probabilities.topk(min(top, card.shape.num_classes), dim=1)
    found = [
        [(card.class_names[k], p) for k, p in zip(classes, values, strict=True)]
        for classes, values in zip(best.indices.tolist(), best.values.tolist(), strict=True)
    ]
    print(_lines(images, found) if as_json else _table(images, found))


def _predict(trained: TrainedModel, pixels: Tensor, seed: int) -> Tensor:
    """Class probabilities, (N, num_classes), of images (N, channels, height, width) in [0, 1].

    One image at a time, each from the same noise: an image's answer must not depend on what is asked beside it.
    """
    import torch

    device = next(trained.method.parameters()).device
    mean, std = (torch.tensor(values).view(1, -1, 1, 1) for values in (trained.card.mean, trained.card.std))
    x = ((pixels - mean) / std).to(device)
    logits = [trained.method.predict(each, torch.Generator(device).manual_seed(seed)) for each in torch.split(x, 1)]
    return torch.cat(logits).softmax(dim=1).cpu()


def _read(path: Path, card: ModelCard) -> tuple[Tensor, bool]:
    """Pixels in [0, 1], (channels, height, width), and whether the picture had to be resized.

    Raises:
        UserError: it is no picture, or the model's channels are neither one (grey) nor three (colour).
    """
    import numpy as np
    import torch
    from PIL import Image

    from bench.errors import UserError

    modes = {1: "L", 3: "RGB"}
    if card.shape.channels not in modes:
        raise UserError(f"the model needs {card.shape.channels} channels; pictures have 1 (grey) or 3 (colour)")
    size = (card.shape.width, card.shape.height)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                picture = opened.convert(modes[card.shape.channels])
    except FileNotFoundError:
        raise UserError(f"there is no image {str(path)!r}") from None
    # Pillow's readers raise errors of many kinds on damaged files.
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise UserError(f"{path} is not an image that can be read: {error}") from None
    resized = picture.size != size
    if resized:
        picture = picture.resize(size, Image.Resampling.BILINEAR)  # Pillow's filters take in all pixels when shrinking
    values = np.asarray(picture, dtype=np.float32).reshape(card.shape.height, card.shape.width, -1) / 255
    return torch.from_numpy(values).permute(2, 0, 1), resized


def _table(images: tuple[Path, ...], found: list[list[tuple[str, float]]]) -> str:
    from tabulate import tabulate

    ranks = range(1, len(found[0]) + 1)
    headers = ["image", *(text for k in ranks for text in (f"class {k}" if len(ranks) > 1 else "class", "probability"))]
    rows = [
        [str(path), *(cell for name, p in best for cell in (name, f"{p:.4f}"))]
        for path, best in zip(images, found, strict=True)
    ]
    return tabulate(rows, headers=headers, disable_numparse=True)


def _lines(images: tuple[Path, ...], found: list[list[tuple[str, float]]]) -> str:
    return "\n".join(
        json.dumps({"image": str(path), "classes": [{"class": name, "probability": p} for name, p in best]})
        for path, best in zip(images, found, strict=True)
    )


def main() -> None:
    """Entry point: run the command and turn every expected mistake into one sentence and exit code 2."""
    from bench.errors import UserError

    code = 0
    try:
        cli.main(prog_name="python -m bench.predict", standalone_mode=False)
    except click.exceptions.Exit as done:
        code = done.exit_code
    except click.ClickException as error:
        code = _complain(error.format_message())
    except UserError as error:
        code = _complain(str(error))
    except (click.Abort, KeyboardInterrupt):
        code = 130
    sys.exit(code)


def _complain(sentence: str) -> int:
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
