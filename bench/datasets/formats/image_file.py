"""Picture files as pixels, read in the same way for training and for prediction."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UserError
from results.files import is_file

if TYPE_CHECKING:
    from PIL.Image import Image

MODES = {1: "L", 3: "RGB"}
"""Pillow's names of grey and colour, by channels."""
_GREY = ("1", "L", "LA")
"""Its names of pictures without colour."""
_MANY = frozenset({".gif", ".webp", ".png", ".apng", ".tif", ".tiff"})
"""What the names of pictures with several frames end in."""


class UnreadableError(UserError):
    """A file that should be a picture cannot be read as one."""


def read_picture(path: Path, channels: int | None = None) -> Image:
    """Read a picture as a viewer shows it on black: turned as its camera says, transparent parts black.

    Args:
        path: The file.
        channels: 1 for grey, 3 for colour, None for as it is.

    Returns:
        A picture of one of `MODES`.

    Raises:
        UnreadableError: there is none, it is damaged or too large, or it has more than 8 bits per channel.
    """
    from PIL import Image, UnidentifiedImageError

    if not is_file(path):
        raise UnreadableError(f"there is no image file {str(path)!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as opened:
                deep = _is_deep(opened)
                mode = MODES[channels or (1 if opened.mode in _GREY else 3)]
                picture = opened if deep else _plain(opened, mode)
    except Exception as error:  # Pillow's readers raise errors of many kinds on damaged files
        reason = str(error)
        if isinstance(error, UnidentifiedImageError):
            reason = "it is of no known format" if path.stat().st_size else "it is empty"
        raise UnreadableError(f"{path} is not an image that can be read: {reason}") from None
    if deep:
        raise UnreadableError(f"{path} has more than 8 bits per channel: convert it to 8 bits")
    return picture


def has_several_frames(path: Path) -> bool:
    """Whether it is an animation or has several pages; the preview that a camera puts into a photograph is none."""
    from PIL import Image

    if path.suffix.lower() not in _MANY:
        return False
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            warnings.simplefilter("ignore")
            return bool(getattr(opened, "is_animated", False))
    except Exception:  # as in `read_picture`, which says what is wrong with it
        return False


def _is_deep(opened: Image) -> bool:
    """Whether it has more than 8 bits per channel, which Pillow would cut off at 255 (grey) or at the high byte."""
    packed = (str(tile[3]) for tile in getattr(opened, "tile", ()))  # of colour, only this says so: `RGB;16B`
    return opened.mode[0] in "IF" or any(re.search(r";(16|32|64)[BLNFS]", each) for each in packed)


def stretched(picture: Image, size: tuple[int, int]) -> Image:
    """The picture at (width, height), whatever its own proportions."""
    from PIL import Image

    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.BILINEAR)  # Pillow's filters take in all pixels when shrinking


def _plain(picture: Image, mode: str) -> Image:
    from PIL import Image, ImageOps

    picture = ImageOps.exif_transpose(picture)
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, "black")
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    return picture.convert(mode)
