"""The training images, for methods that start from them, and prototypes among them (arXiv 2503.24322, section 4)."""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

_ROWS = 512
"""Images compared with all others of their class at a time: bounds memory, does not change the result."""


class TrainingImages:
    """The training images. What is computed from them is computed once, and only if a method asks for it."""

    def __init__(self, load: Callable[[], tuple[Tensor, Tensor]], num_classes: int) -> None:
        """Take a function that returns images as in `Method.train_step`, and labels, 0 .. num_classes - 1."""
        self._load = load
        self._num_classes = num_classes

    @cached_property
    def prototypes(self) -> Tensor:
        """One image per class, flattened: (num_classes, channels * height * width)."""
        x, y = self._load()
        return prototypes(x.flatten(start_dim=1), y, self._num_classes)


def prototypes(x: Tensor, y: Tensor, num_classes: int) -> Tensor:
    """For each class, the image with the smallest median Euclidean distance to the others of its class.

    From flattened images, (N, dim), and labels, (N,), to (num_classes, dim). The median of an even number of distances
    is the lower middle one; among equal medians the first image wins. A class's only image is its prototype.

    Raises:
        ValueError: a class has no image.
    """
    chosen = []
    for k in range(num_classes):
        members = x[y == k]
        if len(members) == 0:
            raise ValueError(f"class {k} has no training image to be its prototype")
        chosen.append(members[int(_median_distances(members).argmin())])
    return torch.stack(chosen)


def _median_distances(members: Tensor) -> Tensor:
    """Median distance of each image to the others, (n,)."""
    if len(members) == 1:
        return torch.zeros(1)
    medians = []
    for rows in torch.split(torch.arange(len(members), device=members.device), _ROWS):
        distances = torch.cdist(members[rows], members)
        # The distance to itself is a row's smallest; infinity moves it to where the lower median does not count it.
        distances[torch.arange(len(rows)), rows] = torch.inf
        medians.append(distances.sort(dim=1).values[:, (len(members) - 2) // 2])
    return torch.cat(medians)
