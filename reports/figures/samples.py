"""The images of a data set: a row of samples for each class."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

from reports.figures.style import WIDTH_INCHES, new_figure, save_png, themed

MAX_CLASSES = 100
"""In one figure: the first."""
_ROWS = 25
"""Per panel."""
_SAMPLES = {1: 12, 2: 10, 3: 6, 4: 5}
"""Per class at most, by the number of panels."""
_NAME_WIDTH = 16
_NAME_INCHES, _TITLE_INCHES = 0.9, 0.6
"""About what names take of a panel's width, and the title of a figure's height."""
_ROW_INCHES = 0.17
"""The least height of a row, or names would overlap: a row of wide images has fewer."""
_GAP = 0.08
"""Between samples, as a fraction of their smaller side."""


def draw_samples(
    images: NDArray[np.uint8], labels: NDArray[np.int64], class_names: Sequence[str], path: Path, *, title: str
) -> None:
    """Write a PNG with the first samples of each class, one class per row.

    Args:
        images: (N, C, H, W) with 1 or 3 channels.
        labels: (N,).
        class_names: by class number.
        path: of the PNG.
        title: what the images are.

    Raises:
        OSError: the file cannot be written.
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
        for panel, group, made in zip(axes, groups, mosaics, strict=True):
            names = [textwrap.shorten(class_names[k], _NAME_WIDTH, placeholder="…") or class_names[k] for k in group]
            panel.imshow(made, interpolation="nearest")
            panel.set_xticks([])
            ticks = (np.arange(len(group)) + 0.5) * made.shape[0] / rows
            panel.set_yticks(ticks, [name[:_NAME_WIDTH] for name in names], fontsize="small")
            panel.grid(visible=False)
            panel.set_frame_on(False)
            panel.set_anchor("N")
        of = "" if shown == len(class_names) else f", the first {shown} of {len(class_names):,} classes"
        figure.suptitle(textwrap.fill(f"{title}: training images by class{of}", 90), fontsize="medium")
        save_png(figure, path)


def mosaic(
    images: NDArray[np.uint8], labels: NDArray[np.int64], classes: Sequence[int], samples: int
) -> NDArray[np.uint8]:
    """One image of many, (rows, columns, 3): a row for each class with its first samples, white if there are none.

    Args:
        images: (N, C, H, W) with 1 or 3 channels.
        labels: (N,).
        classes: class numbers, from the top; a class without images leaves its row empty.
        samples: places in a row.
    """
    height, width = images.shape[2:]
    gap = max(1, round(_GAP * min(height, width)))
    made = np.full((len(classes) * (height + gap) + gap, samples * (width + gap) + gap, 3), 255, dtype=np.uint8)
    for row, number in enumerate(classes):
        for column, index in enumerate(np.flatnonzero(labels == number)[:samples]):
            top, left = row * (height + gap) + gap, column * (width + gap) + gap
            made[top : top + height, left : left + width] = images[index].transpose(1, 2, 0)
    return made
