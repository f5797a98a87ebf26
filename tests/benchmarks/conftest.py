"""The suite's conditions: a fixed number of threads, shapes, and what pytest-benchmark writes down of the machine.

Where timing is disabled, as it is by default, every call is made once, to see that it works: on a batch of a few images
of the least shape, and by one thread.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_benchmark.session import PerformanceRegression

from bench.meters.environment import available_cores, describe_environment
from results.microbenchmarks import Machine
from results.schema import Environment
from tests.benchmarks.workload import BATCH_SIZE, CPU, Subject, make_subject

SHAPES = {"28x28": (1, 28, 28), "8x8": (1, 8, 8)}
SMALL_BATCH = 8
"""Of which `EVALUATED_BATCHES` still hold every class."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--microbench-threads", type=int, help="CPU threads of the microbenchmarks; default: all cores")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Benchmarks that take a `shape`, (channels, height, width) of one image, are made for each."""
    if "shape" in metafunc.fixturenames:
        config = metafunc.config
        timing = config.getoption("benchmark_enable") or not config.getoption("benchmark_disable")
        names = list(SHAPES) if timing else [min(SHAPES, key=lambda name: math.prod(SHAPES[name]))]
        metafunc.parametrize("shape", [SHAPES[name] for name in names], ids=names)


def pytest_benchmark_generate_machine_info(config: pytest.Config) -> dict[str, Any]:
    environment = _environment().model_copy(update={"commit": None})
    return Machine(environment=environment, threads=_threads(config)).model_dump(mode="json")


def pytest_benchmark_generate_commit_info(config: pytest.Config) -> dict[str, Any]:
    return {"id": _environment().commit}


@pytest.hookimpl(wrapper=True)
def pytest_terminal_summary() -> Iterator[None]:
    """A benchmark slower than is allowed is a result, which needs no traceback."""
    try:
        return (yield)
    except PerformanceRegression as error:
        pytest.exit(str(error), returncode=pytest.ExitCode.TESTS_FAILED)


@pytest.fixture
def threads(request: pytest.FixtureRequest, benchmark: BenchmarkFixture) -> Iterator[int]:
    """CPU threads, fixed for a benchmark."""
    before = torch.get_num_threads()
    torch.set_num_threads(_threads(request.config) if benchmark.enabled else 1)
    yield torch.get_num_threads()
    torch.set_num_threads(before)


@pytest.fixture
def commit() -> str | None:
    """The project's commit."""
    return _environment().commit


@pytest.fixture
def subject(name: str, shape: tuple[int, int, int], threads: int, benchmark: BenchmarkFixture) -> Subject:
    """The method called `name`, built for images of that shape."""
    return make_subject(name, shape, BATCH_SIZE if benchmark.enabled else SMALL_BATCH, threads)


def _threads(config: pytest.Config) -> int:
    # Where the suite is collected with all other tests, pytest has read the command line before this file.
    return config.getoption("microbench_threads", None) or available_cores()


def _environment() -> Environment:
    return describe_environment(CPU)
