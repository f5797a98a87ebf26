"""Microbenchmarks on disk: what pytest-benchmark saved of `tests/benchmarks`, read and validated.

The file is pytest-benchmark's own. Ours in it are `machine_info` (`Machine`) and each benchmark's `extra_info`
(`Measurement`); of the rest only what is needed is looked at, since it is another project's form.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from results.conditions import Environment
from results.record import SCHEMA_VERSION, Record, Version
from results.store import ResultsError

MICROBENCH_FILE = "microbench.json"
"""Of a run's folder."""

Kind = Literal["step", "predict", "evaluate", "loop"]
"""One training step on one batch; predicting one batch; `bench.train.evaluate` on several batches; an epoch by
`bench.train.train_epoch`."""
_Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
_Some = Annotated[int, Field(ge=1)]


class LoopRatio(Record):
    """How long an epoch by `bench.train.train_epoch` takes, divided by its training steps alone, one after the other.

    Each epoch is held against the mean of the bare steps just before and just after it.
    """

    median: _Positive
    iqr: Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
    epochs: _Some
    steps: _Some
    """Training steps an epoch."""


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
    torch: str
    commit: str | None
    """As in `Environment.commit`."""
    loop: LoopRatio | None = None
    """With the kind `loop` alone."""

    @model_validator(mode="after")
    def _a_loop_has_its_ratio(self) -> Self:
        if (self.kind == "loop") != (self.loop is not None):
            raise ValueError("loop must be given with the kind loop, and with no other")
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
    def key(self) -> tuple[str, str, tuple[int, int, int]]:
        """(kind, method, shape): what names it inside its session."""
        return (self.extra_info.kind, self.extra_info.method, self.extra_info.shape)


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
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ResultsError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        return Microbenchmarks.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ResultsError(
            f"{path} does not hold microbenchmarks of this project ({f'{where}: ' if where else ''}{first['msg']}): "
            "delete it, and time again with make microbench"
        ) from None
