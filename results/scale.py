"""A measured sweep over depth, batch, image size and data (`python -m bench.scale`), on disk: read and written."""

from __future__ import annotations

from pathlib import Path
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
    """Seconds over rounds of one call."""

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
    """Floating-point operations of the call, as PyTorch counts those of convolutions and matrix products; null: it
    could not."""
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
        """What the machine does when it does nothing else but multiply and add."""
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
    """What each axis is at while another is varied."""
    channels: _Some
    num_classes: Annotated[int, Field(ge=2)]
    ceiling: Ceiling
    points: Annotated[list[ScalePoint], Field(min_length=1)]
    complete: bool
    """Whether all points that were asked for are there."""


def write_scale(folder: Path, record: ScaleRecord) -> Path:
    """Write the sweep into a folder; the file's path.

    Raises:
        ResultsError: it cannot be written.
    """
    path = folder / SCALE_FILE
    replace_file(path, record.model_dump_json(indent=2).encode())
    return path


def read_scale(folder: Path) -> ScaleRecord:
    """The sweep in a folder.

    Raises:
        ResultsError: there is none, or it is not what it should be.
    """
    path = folder / SCALE_FILE
    content = read_small(path)
    try:
        return ScaleRecord.model_validate_json(content)
    except ValidationError as error:
        raise ResultsError(f"{path} is not a sweep by bench.scale: {first_problem(content, error)}") from None
