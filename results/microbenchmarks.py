"""Microbenchmarks on disk: the file that pytest-benchmark saves of `tests/benchmarks`, read and validated.

Ours in it are `machine_info` (`Machine`) and each benchmark's `extra_info` (`Measurement`); of the rest only what is
needed is read, since the format is another project's.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from results.conditions import SCHEMA_VERSION, AtLeastOne, AtLeastTwo, Environment, Positive, Record, Spread, Version
from results.past_names import MethodLabel
from results.store import read_record

MICROBENCH_FILE = "microbench.json"
"""In a run's folder."""

Kind = Literal["step", "predict", "evaluate", "loop", "epoch", "block"]
"""One training step on one batch; predicting one batch; `bench.training.loop.evaluate` on several batches; an epoch by
`bench.training.loop.train_epoch`; that epoch with the evaluation of the validation and the test part; forward and
backward pass of one block on one batch."""


class LoopRatio(Spread):
    """Time of an epoch by `bench.training.loop.train_epoch`, divided by that of its training steps alone.

    Each epoch is compared with the mean of the bare steps just before and just after it.
    """

    epochs: AtLeastOne
    steps: AtLeastOne
    """Training steps per epoch."""


class Ratio(Spread):
    """Over pairs: seconds of a call, divided by the mean of another call's just before and just after it."""

    pairs: AtLeastOne


class ReferenceRatio(Record):
    """Time of an epoch by the harness, divided by one by a plain trainer (`tests/benchmarks/reference_loop.py`).

    Network, losses and batches are the same; the plain trainer also evaluates the training images, and always computes
    in float32.
    """

    epoch: Ratio
    """Training and evaluation."""
    training: Ratio
    """Training alone."""
    steps: AtLeastOne
    """Training steps per epoch."""
    evaluated: AtLeastOne
    """Images that the harness evaluates after the epoch."""
    reference_evaluated: AtLeastOne
    """Images that the plain trainer evaluates."""


class BoundRatio(Record):
    """Time of a block's forward and backward pass, divided by that of its operations at a matrix product's speed."""

    step: Ratio
    flops: AtLeastOne
    """Floating-point operations of the pass, by PyTorch's counter (convolutions and matrix products)."""
    flops_per_second: Positive
    """Of the matrix product, float32: the median over the session."""
    size: AtLeastOne
    """Rows and columns of its two matrices."""


_RATIO_OF: dict[Kind, str] = {"loop": "loop", "epoch": "reference", "block": "bound"}
"""The field that measurements of this kind have, and no others."""


class Measurement(Record):
    """What was timed, and where: a benchmark's `extra_info`."""

    schema_version: Version = SCHEMA_VERSION
    kind: Kind
    method: MethodLabel
    """The registry's name."""
    options: dict[str, Any]
    """Every option of the method with its effective value."""
    shape: tuple[AtLeastOne, AtLeastOne, AtLeastOne]
    """(channels, height, width) of one image. The images are random numbers."""
    num_classes: AtLeastTwo
    batch_size: AtLeastOne
    images: AtLeastOne
    """Images per timed call."""
    images_per_second: Positive
    """`images` divided by the median time of a call."""
    threads: AtLeastOne
    amp: bool = False
    """Whether forward passes computed in bfloat16, as in `CellConfig.amp`."""
    torch: str
    commit: str | None
    """As in `Environment.commit`."""
    loop: LoopRatio | None = None
    reference: ReferenceRatio | None = None
    bound: BoundRatio | None = None

    @model_validator(mode="after")
    def _each_kind_has_its_ratio(self) -> Self:
        for kind, field in _RATIO_OF.items():
            if (self.kind == kind) != (getattr(self, field) is not None):
                raise ValueError(f"{field} must be given with the kind {kind}, and with no other")
        return self


class Machine(Record):
    """Where a session ran: `machine_info`. pytest-benchmark warns when it compares sessions that differ here."""

    environment: Environment
    """Its commit is null: sessions are compared for changes of the code."""
    threads: AtLeastOne


class _Theirs(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Stats(_Theirs):
    """Seconds per call over the timed rounds."""

    median: Positive
    q1: Positive
    q3: Positive
    rounds: AtLeastOne

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.q1 <= self.median <= self.q3:
            raise ValueError("the quartiles are not in order")
        return self


class Benchmark(_Theirs):
    """One benchmark of a session."""

    name: str
    """The name in pytest."""
    extra_info: Measurement
    stats: Stats

    @property
    def key(self) -> tuple[str, str, tuple[int, int, int], bool]:
        """(kind, method, shape, amp): unique in its session."""
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
        made = {(each.extra_info.threads, each.extra_info.torch, each.extra_info.commit) for each in self.benchmarks}
        if made != {(machine.threads, machine.environment.torch, self.commit)}:
            raise ValueError("its benchmarks were not all made with the same threads, PyTorch and commit")
        return self

    @property
    def commit(self) -> str | None:
        """The project's commit, as in `Environment.commit`."""
        return self.benchmarks[0].extra_info.commit


def read_microbenchmarks(path: Path) -> Microbenchmarks | None:
    """Read and validate a session's file; None if there is none.

    Raises:
        ResultsError: it is damaged, of another version, or has other benchmarks than this project's.
    """
    if not path.exists():
        return None
    wrong = "does not hold microbenchmarks of this project"
    return read_record(path, Microbenchmarks, wrong, "; delete it, and time again with make microbench")
