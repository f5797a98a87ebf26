"""What a sweep by `bench.scale` says of growth: points in order, their share of the ceiling, the power of growth."""

from __future__ import annotations

import numpy as np

from results.scale import AXES, Axis, ScalePoint, ScaleRecord

NAMES: dict[Axis, str] = {
    "T": "number of blocks T",
    "batch_size": "batch size",
    "side": "pixels of an image's side",
    "images": "training images of an epoch",
}


def methods_of(record: ScaleRecord) -> list[str]:
    """In the order in which they were given."""
    return list(dict.fromkeys(point.method for point in record.points))


def axes_of(record: ScaleRecord) -> list[Axis]:
    """What was varied."""
    return [axis for axis in AXES if any(point.axis == axis for point in record.points)]


def points_of(record: ScaleRecord, axis: Axis, method: str) -> list[ScalePoint]:
    """By value, rising."""
    found = [point for point in record.points if point.axis == axis and point.method == method]
    return sorted(found, key=lambda point: point.value)


def share_of_ceiling(record: ScaleRecord, point: ScalePoint) -> float | None:
    """Counted operations a second, as a fraction of the matrix product's; None where they could not be counted."""
    if point.flops is None:
        return None
    return point.flops / point.seconds.median / record.ceiling.flops_per_second


def exponent(points: list[ScalePoint]) -> float | None:
    """The power of the axis's value with which the time grows: the slope by least squares in logarithms.

    None for fewer than two values.
    """
    if len(points) < 2:
        return None
    # An epoch leaves out what fills no batch.
    values = [point.images if point.axis == "images" else point.value for point in points]
    seconds = [point.seconds.median for point in points]
    slope, _ = np.polyfit(np.log(values), np.log(seconds), 1)
    return float(slope)
