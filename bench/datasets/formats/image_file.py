"""Picture files as pixels, read in the same way for training and for prediction."""

from __future__ import annotations

import contextlib
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
_FORMATS = ("BMP", "DIB", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP", "TGA")
"""Its names of the formats in `pictures.SUFFIXES`; its readers of others may start programs, as that of EPS does."""
_MANY = ("GIF", "PNG", "TIFF", "WEBP")
"""Those of several frames. The second picture in a JPEG file is a camera's preview."""


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
        UnreadableError: there is none, it is damaged or too large, or its pixels are not whole numbers of 8 bits.
    """
    from PIL import Image, UnidentifiedImageError

    if not is_file(path):
        raise UnreadableError(f"there is no image file {str(path)!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_FORMATS) as opened:
                refusal = _refusal(opened)
                mode = MODES[channels or (1 if opened.mode in _GREY else 3)]
                picture = opened if refusal else _plain(opened, mode)
    except Exception as error:  # Pillow's readers raise errors of many kinds on damaged files
        reason = str(error)
        if isinstance(error, UnidentifiedImageError):
            formats = ", ".join(_FORMATS)
            reason = f"it is none of {formats}, or its start is damaged" if path.stat().st_size else "it is empty"
        raise UnreadableError(f"{path} is not an image that can be read: {reason}") from None
    if refusal:
        raise UnreadableError(f"{path} has {refusal}")
    return picture


def has_several_frames(path: Path) -> bool:
    """Whether it is an animation or has several pages; the preview that a camera puts into a photograph is none."""
    from PIL import Image

    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path, formats=_MANY) as opened:
            return bool(getattr(opened, "is_animated", False))
    except Exception:  # of another format or damaged, as `read_picture` says
        return False


def _refusal(opened: Image) -> str:
    """What is wrong with its pixels, if they are not 0 to 255: Pillow would cut them off or take them for such."""
    tags = getattr(opened, "tag_v2", {})  # of a TIFF file: 258 is BitsPerSample, 339 SampleFormat, whose 1 is unsigned
    packed = (str(tile[3]) for tile in getattr(opened, "tile", ()))  # of colour, only this says so: `RGB;16B`
    is_deep = opened.mode[0] in "IF" or any(re.search(r";(16|32|64)[BLNFS]", each) for each in packed)
    if is_deep or max(tags.get(258, (1,))) > 8:
        return "more than 8 bits per channel: convert it to 8 bits"
    if set(tags.get(339, (1,))) != {1}:
        return "signed numbers as pixels: convert it to 8 bits without sign"
    return ""


def stretched(picture: Image, size: tuple[int, int]) -> Image:
    """The picture at (width, height), whatever its own proportions."""
    from PIL import Image

    if picture.size == size:
        return picture
    return picture.resize(size, Image.Resampling.BILINEAR)  # Pillow's filters take in all pixels when shrinking


def _plain(picture: Image, mode: str) -> Image:
    from PIL import Image, ImageOps

    picture.load()
    with contextlib.suppress(Exception):  # what is broken counts as none from now on, as Pillow has it in JPEG files
        picture.getexif()
    picture = ImageOps.exif_transpose(picture)
    if picture.has_transparency_data:
        black = Image.new("RGBA", picture.size, "black")
        picture = Image.alpha_composite(black, picture.convert("RGBA"))
    return picture.convert(mode)
