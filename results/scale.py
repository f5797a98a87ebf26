"""The file `scale.json`: a measured sweep over depth, batch, image size and data by `python -m bench.scale`."""

from __future__ import annotations

import math
from pathlib import Path
from statistics import linear_regression
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from results.conditions import Environment
from results.lines import first_problem
from results.record import SCHEMA_VERSION, Bytes, Record, Version
from results.store import ResultsError, read_small, replace_file

SCALE_FILE = "scale.json"

Axis = Literal["T", "batch_size", "side", "images"]
"""What is varied: the number of blocks, the images of a batch, the pixels of an image's side, an epoch's images."""
Precision = Literal["float32", "TF32", "bfloat16"]
AXES: tuple[Axis, ...] = ("T", "batch_size", "side", "images")
_Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
_Some = Annotated[int, Field(ge=1)]


class Timing(Record):
    """Seconds of one call over rounds."""

    median: _Positive
    iqr: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
    rounds: _Some


class ScalePoint(Record):
    """One training step (on the axis `images`: one epoch of training) of one method at one value of what is varied."""

    axis: Axis
    value: _Some
    method: str
    """As in `CellResult.method`."""
    seconds: Timing
    images: _Some
    """Training images that the call handles."""
    flops: _Some | None
    """Floating-point operations of the call in convolutions and matrix products, as PyTorch counts them; null: it could
    not."""
    activation_bytes: Bytes
    """Held for backward at the peak of one step."""
    execution: str | None = None


class Ceiling(Record):
    """The product of two square matrices, timed in turn with the points."""

    seconds: Timing
    size: _Some
    """Rows and columns."""
    precision: Precision
    """That of the convolutions of a step."""

    @property
    def flops_per_second(self) -> float:
        """What the machine does if it does nothing but multiply and add."""
        return float(2 * self.size**3 / self.seconds.median)


class ScaleRecord(Record):
    """`scale.json`: one sweep."""

    schema_version: Version = SCHEMA_VERSION
    created_at: str
    """UTC, ISO 8601."""
    command: str
    threads: _Some
    device: str
    amp: bool = False
    environment: Environment
    fixed: dict[Axis, int]
    """The value of each axis while another is varied."""
    channels: _Some
    num_classes: Annotated[int, Field(ge=2)]
    ceiling: Ceiling
    points: Annotated[list[ScalePoint], Field(min_length=1)]
    complete: bool
    """Whether all requested points are there."""

    @property
    def methods(self) -> list[str]:
        """In the order in which they were given."""
        return list(dict.fromkeys(point.method for point in self.points))

    @property
    def axes(self) -> list[Axis]:
        """What was varied."""
        return [axis for axis in AXES if any(point.axis == axis for point in self.points)]

    def points_of(self, axis: Axis, method: str) -> list[ScalePoint]:
        """By rising value."""
        found = [point for point in self.points if point.axis == axis and point.method == method]
        return sorted(found, key=lambda point: point.value)

    def share_of_ceiling(self, point: ScalePoint) -> float | None:
        """Counted operations per second, as a fraction of the matrix product's; None if they could not be counted."""
        return None if point.flops is None else point.flops / point.seconds.median / self.ceiling.flops_per_second

    def growth_power(self, axis: Axis, method: str) -> float | None:
        """The power of the axis's value with which the time grows: the slope of a least-squares fit in logarithms.

        None for fewer than two values.
        """
        points = self.points_of(axis, method)
        if len(points) < 2:
            return None
        # The value of an epoch: the images that it used, since it leaves out those that fill no batch.
        values = [math.log(point.images if axis == "images" else point.value) for point in points]
        return linear_regression(values, [math.log(point.seconds.median) for point in points]).slope


def write_scale(folder: Path, record: ScaleRecord) -> Path:
    """Write the sweep into a folder and return the file's path.

    Raises:
        ResultsError: it cannot be written.
    """
    path = folder / SCALE_FILE
    replace_file(path, record.model_dump_json(indent=2).encode())
    return path


def read_scale(folder: Path) -> ScaleRecord:
    """Read the sweep in a folder.

    Raises:
        ResultsError: there is none, or it is damaged.
    """
    path = folder / SCALE_FILE
    content = read_small(path)
    try:
        return ScaleRecord.model_validate_json(content)
    except ValidationError as error:
        raise ResultsError(f"{path} is not a sweep by bench.scale: {first_problem(content, error)}") from None
