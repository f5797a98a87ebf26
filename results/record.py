"""What every record on disk is made of: its version, its base class and the kinds of numbers in it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Version = Literal[1, 2, 3]
SCHEMA_VERSION: Literal[3] = 3
"""What is written. Still read: 1 (no diagnostics, no saved models) and 2 (no machine, energy, FLOPs or checksums)."""

Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Seconds = Annotated[float, Field(ge=0.0)]
Bytes = Annotated[int, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]
Augment = Literal["none", "standard"]
"""How training images are augmented; `results.conditions.AugmentationRecord` says what that came to."""


class Record(BaseModel):
    """Unknown fields are refused: a line with any is not one of ours, or comes from a newer version."""

    model_config = ConfigDict(extra="forbid", frozen=True, ser_json_inf_nan="strings")
