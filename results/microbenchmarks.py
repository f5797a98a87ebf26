"""Microbenchmarks on disk: what pytest-benchmark saved of `tests/benchmarks`, read and validated.

The file is pytest-benchmark's own. Ours in it are `machine_info` (`Machine`) and each benchmark's `extra_info`
(`Measurement`); of the rest only what is needed is looked at, since it is another project's form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from results.conditions import Environment
from results.lines import first_problem
from results.record import SCHEMA_VERSION, Record, Version
from results.store import ResultsError, read_small

MICROBENCH_FILE = "microbench.json"
"""Of a run's folder."""

Kind = Literal["step", "predict", "evaluate", "loop", "epoch", "block"]
"""One training step on one batch; predicting one batch; `bench.training.loop.evaluate` on several batches; an epoch by
`bench.training.loop.train_epoch`; that epoch with the evaluation of the validation and the test part; forward and
backward pass of one block on one batch."""
_Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
_Some = Annotated[int, Field(ge=1)]


class LoopRatio(Record):
    """How long an epoch by `bench.training.loop.train_epoch` takes, divided by its training steps alone, one by one.

    Each epoch is held against the mean of the bare steps just before and just after it.
    """

    median: _Positive
    iqr: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
    epochs: _Some
    steps: _Some
    """Training steps an epoch."""


class Ratio(Record):
    """Seconds of a call, divided by the mean of those of another call just before and just after it."""

    median: _Positive
    """Over the pairs."""
    iqr: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
    pairs: _Some


class ReferenceRatio(Record):
    """An epoch by the harness, divided by one by a plain trainer (`tests/benchmarks/reference_loop.py`).

    Network, losses and batches are the same; the plain trainer evaluates the training images too, and computes in
    float32 whatever the harness computes in.
    """

    epoch: Ratio
    """Training and evaluation."""
    training: Ratio
    """Training alone."""
    steps: _Some
    """Training steps an epoch."""
    evaluated: _Some
    """Images that the harness evaluates after the epoch."""
    reference_evaluated: _Some
    """Images that the plain trainer evaluates."""


class BoundRatio(Record):
    """A block's forward and backward pass, divided by what its operations would take at a matrix product's speed."""

    step: Ratio
    flops: _Some
    """Floating-point operations of the pass, as PyTorch counts those of convolutions and matrix products."""
    flops_per_second: _Positive
    """Of the matrix product, float32: the median over the session."""
    size: _Some
    """Rows and columns of its two matrices."""


_RATIO_OF: dict[Kind, str] = {"loop": "loop", "epoch": "reference", "block": "bound"}
"""The field of a measurement that its kind has, and no other kind."""


class Measurement(Record):
    """What was timed, and where: a benchmark's `extra_info`."""

    schema_version: Version = SCHEMA_VERSION
    kind: Kind
    method: str
    """The registry's name."""
    options: dict[str, Any]
    """Every option of the method with its effective value."""
    shape: tuple[_Some, _Some, _Some]
    """(channels, height, width) of one image. The images are random numbers."""
    num_classes: Annotated[int, Field(ge=2)]
    batch_size: _Some
    images: _Some
    """Images that one timed call handles."""
    images_per_second: _Positive
    """`images` divided by the median time of a call."""
    threads: _Some
    amp: bool = False
    """Whether forward passes computed in bfloat16, as in `CellConfig.amp`."""
    torch: str
    commit: str | None
    """As in `Environment.commit`."""
    loop: LoopRatio | None = None
    """With the kind `loop` alone."""
    reference: ReferenceRatio | None = None
    """With the kind `epoch` alone."""
    bound: BoundRatio | None = None
    """With the kind `block` alone."""

    @model_validator(mode="after")
    def _each_kind_has_its_ratio(self) -> Self:
        for kind, field in _RATIO_OF.items():
            if (self.kind == kind) != (getattr(self, field) is not None):
                raise ValueError(f"{field} must be given with the kind {kind}, and with no other")
        return self


class Machine(Record):
    """Where a session ran: `machine_info`. What differs here makes pytest-benchmark warn when it compares."""

    environment: Environment
    """Its commit is null: code that has changed is what sessions are compared for."""
    threads: _Some


class _Theirs(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Stats(_Theirs):
    """Seconds a call over the timed rounds."""

    median: _Positive
    q1: _Positive
    q3: _Positive
    rounds: _Some

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.q1 <= self.median <= self.q3:
            raise ValueError("the quartiles are not in order")
        return self


class Benchmark(_Theirs):
    """One benchmark of a session."""

    name: str
    """What pytest calls it."""
    extra_info: Measurement
    stats: Stats

    @property
    def key(self) -> tuple[str, str, tuple[int, int, int], bool]:
        """(kind, method, shape, amp): what names it inside its session."""
        return (self.extra_info.kind, self.extra_info.method, self.extra_info.shape, self.extra_info.amp)


class Microbenchmarks(_Theirs):
    """One session: every benchmark in the same process, on the same machine and commit, with the same threads."""

    datetime: str
    """UTC, ISO 8601."""
    machine_info: Machine
    benchmarks: Annotated[list[Benchmark], Field(min_length=1)]

    @model_validator(mode="after")
    def _one_session(self) -> Self:
        keys = [benchmark.key for benchmark in self.benchmarks]
        if len(set(keys)) < len(keys):
            raise ValueError("something was timed twice")
        machine = self.machine_info
        here = {(machine.threads, machine.environment.torch, self.commit)}
        if here != {
            (each.extra_info.threads, each.extra_info.torch, each.extra_info.commit) for each in self.benchmarks
        }:
            raise ValueError("its benchmarks were not all made with the same threads, PyTorch and commit")
        return self

    @property
    def commit(self) -> str | None:
        """The project's commit, as in `Environment.commit`."""
        return self.benchmarks[0].extra_info.commit


def read_microbenchmarks(path: Path) -> Microbenchmarks | None:
    """Read and validate a session's file; None where there is none.

    Raises:
        ResultsError: it is damaged, is of another version, or holds other benchmarks than this project's.
    """
    if not path.exists():
        return None
    data = read_small(path)
    try:
        return Microbenchmarks.model_validate_json(data)
    except ValidationError as error:
        raise ResultsError(
            f"{path} does not hold microbenchmarks of this project ({first_problem(data, error)}): delete it, and time "
            "again with make microbench"
        ) from None
