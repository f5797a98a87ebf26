"""Which images of a part a model got right: a bit per image, in the part's order, as text that fits into a row."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def pack(right: NDArray[np.bool_]) -> str:
    """(N,) booleans as base64 of their bits, the first image in the highest bit; the last byte is filled with zeros."""
    import numpy as np  # as in `unpack`: a command's --help reads the schema, and need not wait for NumPy

    return base64.b64encode(np.packbits(right).tobytes()).decode("ascii")


def unpack(text: str, images: int) -> NDArray[np.bool_]:
    """The booleans of `pack`, (images,).

    Raises:
        ValueError: the text is not that of so many images.
    """
    import numpy as np

    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError("it is not base64") from None
    if len(data) != (images + 7) // 8:
        raise ValueError(f"it has {len(data):,} bytes, and the bits of {images:,} images take {(images + 7) // 8:,}")
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    if bits[images:].any():
        raise ValueError(f"it has bits beyond the {images:,} images")
    return bits[:images].astype(bool)
