"""A picture of a data set: a row of samples for each class."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from reports.figures.style import WIDTH_INCHES, new_figure, save_png, themed

MAX_CLASSES = 100
"""In one picture; of more, the first."""
_ROWS = 25
"""Of one panel."""
_SAMPLES = {1: 12, 2: 10, 3: 6, 4: 5}
"""Of a class at most, by the number of panels."""
_NAME_WIDTH = 16
_NAME_INCHES, _TITLE_INCHES = 0.9, 0.6
"""About what names take of a panel's width, and the title of a picture's height."""
_ROW_INCHES = 0.17
"""The least height of a row, or names would run into one another: of wide images there are fewer in a row."""
_GAP = 0.08
"""Between samples, as a part of their smaller side."""


def draw_samples(
    images: NDArray[np.uint8], labels: NDArray[np.int64], class_names: Sequence[str], path: Path, *, title: str
) -> None:
    """Write a PNG with the first samples of each class, a class a row.

    Args:
        images: (N, C, H, W) with 1 or 3 channels.
        labels: (N,).
        class_names: By class number.
        path: The file.
        title: What the images are.

    Raises:
        OSError: it cannot be written.
    """
    shown = min(len(class_names), MAX_CLASSES)
    columns = -(-shown // _ROWS)
    rows = -(-shown // columns)
    groups = [range(start, min(start + rows, shown)) for start in range(0, shown, rows)]
    width = WIDTH_INCHES / columns - _NAME_INCHES
    samples = min(_SAMPLES[columns], max(1, int(width * images.shape[2] / images.shape[3] / _ROW_INCHES)))
    mosaics = [mosaic(images, labels, [*group, *[-1] * (rows - len(group))], samples) for group in groups]
    height = width * mosaics[0].shape[0] / mosaics[0].shape[1] + _TITLE_INCHES
    with themed(), mpl.rc_context({"text.parse_math": False}):  # a class may be called $5
        figure, axes = new_figure(1, columns, min(height, 2 * WIDTH_INCHES))
        for panel, group, picture in zip(axes, groups, mosaics, strict=True):
            _show(panel, picture, rows, [class_names[k] for k in group])
        of = "" if shown == len(class_names) else f", the first {shown} of {len(class_names):,} classes"
        figure.suptitle(textwrap.fill(f"{title}: training images by class{of}", 90), fontsize="medium")
        save_png(figure, path)


def mosaic(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[int], samples: int
) -> NDArray[np.uint8]:
    """One image of many: a row for each class with its first samples, white where there are none.

    Args:
        images: (N, C, H, W) with 1 or 3 channels.
        labels: (N,).
        classes: Class numbers, from the top; one that is no image's leaves its row empty.
        samples: Places in a row.

    Returns:
        (rows, columns, 3), with a gap around every sample.
    """
    height, width = images.shape[2:]
    gap = max(1, round(_GAP * min(height, width)))
    made = np.full((len(classes) * (height + gap) + gap, samples * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for row, number in enumerate(classes):
        for column, index in enumerate(np.flatnonzero(labels == number)[:samples]):
            top, left = row * (height + gap) + gap, column * (width + gap) + gap
            made[top : top + height, left : left + width] = images[index].transpose(1, 2, 0)
    return made


def _show(panel: Axes, picture: NDArray[np.uint8], rows: int, names: Sequence[str]) -> None:
    panel.imshow(picture, interpolation="nearest")
    panel.set_xticks([])
    panel.set_yticks(
        [(number + 0.5) * picture.shape[0] / rows for number in range(len(names))],
        [textwrap.shorten(name, _NAME_WIDTH, placeholder="…") or name[:_NAME_WIDTH] for name in names],
        fontsize="small",
    )
    panel.grid(visible=False)
    panel.set_frame_on(False)
    panel.set_anchor("N")
