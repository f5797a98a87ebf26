"""The data sets there are, by name.

A data set is a function that returns its images, registered under a name. A scheme is a function that makes a data set
of what follows the colon in `npz:PATH`, registered under what comes before it. Every module of this package is imported
at the first look-up, so adding either is adding one file here; other people's packages add theirs through the
entry-point group `noprop_bench.datasets`. Modules of this package must therefore be cheap to import: libraries such as
NumPy are imported where they are used.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from bench.errors import UserError
from methods.core.options import split_brackets
from methods.core.plugins import load_all

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENTRY_POINT_GROUP = "noprop_bench.datasets"
PRESETS = ("quick", "standard", "paper")
"""The presets that every data set gives a number of epochs for."""

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, eq=False)
class RawData:
    """The images of a data set as published, before any split of ours.

    Raises:
        ValueError: an array's type or shape is not the one given here.
    """

    x_train: NDArray[np.uint8]
    """(N, C, H, W), 0..255."""
    y_train: NDArray[np.int64]
    """(N,), class numbers from 0."""
    x_test: NDArray[np.uint8]
    """(M, C, H, W)."""
    y_test: NDArray[np.int64]
    """(M,)."""
    source: str
    """Where the data came from, for people: `scikit-learn (bundled)`, `IDX files in MNIST/raw (data folder)`."""
    verified: bool | None
    """True: the files match the published checksums; False: they do not; None: none are published for this form."""
    partial: bool
    """Whether the files have less than the published data set."""
    x_val: NDArray[np.uint8] | None = None
    """(L, C, H, W): the data's own validation part; None: it is held out from the training part."""
    y_val: NDArray[np.int64] | None = None
    """(L,)."""
    passed_over: Mapping[str, int] = field(default_factory=dict)
    """How many files, or arrays of an archive, were not used, by what they are: `{".heic files": 3, "x_extra": 1}`."""
    several_frames: int = 0
    """Pictures with several frames or pages, of which the first is the image."""

    def __post_init__(self) -> None:
        parts = [("train", self.x_train, self.y_train), ("test", self.x_test, self.y_test)]
        if self.x_val is not None and self.y_val is not None:
            parts.append(("val", self.x_val, self.y_val))
        for part, images, labels in parts:
            if images.dtype.name != "uint8" or images.ndim != 4 or 0 in images.shape:
                raise ValueError(
                    f"x_{part} is {images.dtype} {images.shape}; expected uint8 (N, C, H, W), none of them 0"
                )
            if labels.dtype.name != "int64" or labels.shape != images.shape[:1]:
                raise ValueError(f"y_{part} is {labels.dtype} {labels.shape}; expected int64 ({len(images)},)")
            if images.shape[1:] != self.x_train.shape[1:]:
                raise ValueError(f"training images are {self.x_train.shape[1:]}, {part} images {images.shape[1:]}")


@dataclass(frozen=True)
class Dataset:
    """One data set.

    `load` is given the user's data folder, or None; it raises `UserError` if the data cannot be found or used.
    """

    name: str
    summary: str
    """One line for people."""
    class_names: tuple[str, ...]
    """In the order of the class numbers."""
    load: Callable[[Path | None], RawData]
    epochs: Mapping[str, int]
    """By the name of the preset; one for each of `PRESETS`."""
    flip: bool = False
    """Whether images mirrored left to right are still of their class, so augmentation may mirror them."""

    @property
    def num_classes(self) -> int:
        """Number of classes; labels are 0 .. num_classes - 1."""
        return len(self.class_names)


@dataclass(frozen=True)
class Scheme:
    """Data sets that nobody has to register, since their names say where they are: `npz:PATH`.

    `open` is given what follows the colon, reads just enough to know the classes, and raises `UserError` if it cannot.
    The name that it gives its data set means the same one everywhere on the machine: `npz:` and an absolute path.
    """

    usage: str
    """What people type: `npz:PATH`."""
    summary: str
    """One line for people."""
    open: Callable[[str], Dataset]


_registered: dict[str, Dataset] = {}
_schemes: dict[str, Scheme] = {}


def register(
    name: str, *, summary: str, class_names: tuple[str, ...], epochs: Mapping[str, int], flip: bool = False
) -> Callable[[_F], _F]:
    """Register the decorated function as the `Dataset.load` of a data set.

    Args:
        name: What people type: lower-case letters, digits, `-` and `_`.
        summary: One line for people.
        class_names: In the order of the class numbers; at least two.
        epochs: Epochs for each of `PRESETS`, 1 or more.
        flip: Whether images mirrored left to right are still of their class.

    Raises:
        ValueError: the name is taken or malformed, there are fewer than two classes, or a preset has no epochs.
    """
    _check_name(name, "data set")
    if len(class_names) < 2:
        raise ValueError(f"data set {name!r} has {len(class_names)} class names; at least 2 are needed")
    for preset in PRESETS:
        if epochs.get(preset, 0) < 1:
            raise ValueError(f"data set {name!r} gives no epochs for the preset {preset!r}")

    def decorate(load: _F) -> _F:
        if name in _registered:
            raise ValueError(f"data set {name!r} is registered already, by {_registered[name].load.__module__}")
        _registered[name] = Dataset(name, summary, tuple(class_names), load, MappingProxyType(dict(epochs)), flip)
        return load

    return decorate


def register_scheme(name: str, *, usage: str, summary: str) -> Callable[[_F], _F]:
    """Register the decorated function as the `Scheme.open` of names that begin with `name` and a colon.

    Raises:
        ValueError: the name is taken or malformed.
    """
    _check_name(name, "scheme")

    def decorate(open_one: _F) -> _F:
        if name in _schemes:
            raise ValueError(f"scheme {name!r} is registered already, by {_schemes[name].open.__module__}")
        _schemes[name] = Scheme(usage, summary, open_one)
        return open_one

    return decorate


def _check_name(name: str, kind: str) -> None:
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise ValueError(f"{name!r} cannot name a {kind}: use lower-case letters, digits, '-' and '_'")


def get(name: str) -> Dataset:
    """Return the data set of that name, or the one that a scheme makes of it.

    Raises:
        UserError: there is none (the message names the nearest one and all that are accepted), or the scheme cannot
            open it.
    """
    prefix, colon, rest = name.partition(":")
    if colon and prefix in schemes():
        return schemes()[prefix].open(rest)
    known = available()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name.lower(), known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    accepted = [*known, *(scheme.usage for scheme in schemes().values())]
    raise UserError(f"unknown data set {name!r}{hint}; accepted: {', '.join(accepted)}")


def placed(name: str, data_dir: Path | None) -> str:
    """The name of the same data set where it is now.

    A name that is a path which leads nowhere is looked for in the data folder, under the path's last part. If that is
    not there, and the data folder is a file or has a training part, it is itself the data, renamed.
    """
    scheme, colon, text = name.partition(":")
    place, _ = split_brackets(text)
    path = Path(place)
    if not colon or data_dir is None or not path.is_absolute() or os.path.lexists(path):
        return name
    here = data_dir.absolute() / path.name
    if not os.path.lexists(here) and (data_dir.is_file() or (data_dir / "train").is_dir()):
        here = data_dir.absolute()
    return f"{scheme}:{here}{text.strip()[len(place) :]}" if os.path.lexists(here) else name


def available() -> dict[str, Dataset]:
    """Every data set by name, sorted: the built-in ones and those of installed plug-ins."""
    _discover()
    return dict(sorted(_registered.items()))


def schemes() -> dict[str, Scheme]:
    """Every scheme by name, sorted."""
    _discover()
    return dict(sorted(_schemes.items()))


@functools.cache
def _discover() -> None:
    load_all("bench.datasets", ENTRY_POINT_GROUP, "data set", _registered, _schemes)
