"""A measured sweep over depth, batch size, image size and data (`python -m bench.scale`) on disk."""

import math
from pathlib import Path
from statistics import linear_regression
from typing import Annotated, Literal

from pydantic import Field

from results.conditions import (
    SCHEMA_VERSION,
    AtLeastOne,
    AtLeastTwo,
    Bytes,
    Environment,
    Record,
    Spread,
    Version,
)
from results.past_names import MethodLabel
from results.store import read_record, write_record

SCALE_FILE = "scale.json"

Axis = Literal["T", "batch_size", "side", "images"]
"""What varies: the number of blocks, the images of a batch, the pixels of an image's side, the images of an epoch."""
AXES: tuple[Axis, ...] = ("T", "batch_size", "side", "images")
Precision = Literal["float32", "TF32", "bfloat16"]


class Timing(Spread):
    """Seconds of one call, over rounds."""

    rounds: AtLeastOne


class ScalePoint(Record):
    """One training step (on the axis `images`: one epoch of training) of one method at one value of what varies."""

    axis: Axis
    value: AtLeastOne
    method: MethodLabel
    """As in `CellResult.method`."""
    seconds: Timing
    images: AtLeastOne
    """Training images per call."""
    flops: AtLeastOne | None
    """Floating-point operations of the call (convolutions, matrix products), by PyTorch's counter; null: it failed."""
    activation_bytes: Bytes
    """Held for backward at the peak of one step."""
    execution: str | None = None


class Ceiling(Record):
    """The product of two square matrices, timed alternately with the points."""

    seconds: Timing
    size: AtLeastOne
    """Rows and columns."""
    precision: Precision
    """That of a step's convolutions."""

    @property
    def flops_per_second(self) -> float:
        """What the machine reaches when it only multiplies and adds."""
        return float(2 * self.size**3 / self.seconds.median)


class ScaleRecord(Record):
    """`scale.json`: one sweep."""

    schema_version: Version = SCHEMA_VERSION
    created_at: str
    """UTC, ISO 8601."""
    command: str
    threads: AtLeastOne
    device: str
    amp: bool = False
    environment: Environment
    fixed: dict[Axis, int]
    """The value of each axis while another varies."""
    channels: AtLeastOne
    num_classes: AtLeastTwo
    ceiling: Ceiling
    points: Annotated[list[ScalePoint], Field(min_length=1)]
    complete: bool
    """Whether it has all points that were asked for."""

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
    write_record(folder / SCALE_FILE, record)
    return folder / SCALE_FILE


def read_scale(folder: Path) -> ScaleRecord:
    """Read the sweep in a folder.

    Raises:
        ResultsError: there is none, or it is damaged.
    """
    return read_record(folder / SCALE_FILE, ScaleRecord, "is not a sweep by bench.scale")
