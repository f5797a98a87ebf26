"""A valid session of microbenchmarks in pytest-benchmark's form, for tests of whatever reads one.

Every value that is looked at can be overridden. `tests/bench/test_microbench.py` has real ones read.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.factories import make_environment

COMMIT = make_environment().commit
MILLISECONDS = {"step": 200.0, "predict": 50.0, "evaluate": 128.0, "loop": 1700.0, "epoch": 4000.0, "block": 40.0}
IMAGES = {"step": 128, "predict": 128, "evaluate": 256, "loop": 1024, "epoch": 1152, "block": 128}
LOOP = {"median": 1.012, "iqr": 0.004, "epochs": 11, "steps": 8}
REFERENCE = {
    "epoch": {"median": 0.41, "iqr": 0.012, "pairs": 7},
    "training": {"median": 0.623, "iqr": 0.021, "pairs": 7},
    "steps": 9,
    "evaluated": 341,
    "reference_evaluated": 1493,
}
BOUND = {
    "step": {"median": 2.34, "iqr": 0.05, "pairs": 31},
    "flops": 6_200_000_000,
    "flops_per_second": 123.4e9,
    "size": 2048,
}
RATIOS = {"loop": ("loop", LOOP), "epoch": ("reference", REFERENCE), "block": ("bound", BOUND)}


def make_benchmark(kind: str = "step", method: str = "backprop", **overrides: Any) -> dict[str, Any]:
    """One benchmark: `overrides` go to `extra_info`, or to `stats` where that has such a field."""
    seconds = MILLISECONDS[kind] / 1000
    times = {"min": 0.8, "max": 2.0, "mean": 1.1, "stddev": 0.4, "median": 1.0, "iqr": 0.8, "q1": 0.8, "q3": 1.6}
    stats: dict[str, Any] = {name: factor * seconds for name, factor in times.items()}
    stats |= {"rounds": 7, "iterations": 1, "ops": 1 / stats["mean"], "outliers": "1;0"}
    measured = {
        "schema_version": 3,
        "kind": kind,
        "method": method,
        "options": {"T": 10},
        "shape": [1, 28, 28],
        "num_classes": 10,
        "batch_size": 128,
        "images": IMAGES[kind],
        "images_per_second": IMAGES[kind] / seconds,
        "threads": 2,
        "torch": make_environment().torch,
        "commit": COMMIT,
    }
    if kind in RATIOS:
        field, ratio = RATIOS[kind]
        measured[field] = ratio
    name = f"test_{kind}[28x28-{method}]"
    return {
        "group": kind,
        "name": name,
        "fullname": f"tests/benchmarks/test_methods.py::{name}",
        "extra_info": measured | {key: value for key, value in overrides.items() if key not in stats},
        "stats": stats | {key: value for key, value in overrides.items() if key in stats},
    }


def make_session(benchmarks: Sequence[dict[str, Any]] | None = None) -> dict[str, Any]:
    """A session of these benchmarks; by default two methods with every kind of call, and the loop."""
    if benchmarks is None:
        calls = itertools.product(("step", "predict", "evaluate"), ("noprop", "backprop"))
        benchmarks = [*itertools.starmap(make_benchmark, calls), make_benchmark("loop", "backprop-plain")]
    return {
        "machine_info": {"environment": make_environment(commit=None).model_dump(mode="json"), "threads": 2},
        "commit_info": {"id": COMMIT},
        "benchmarks": list(benchmarks),
        "datetime": "2026-03-02T09:30:00+00:00",
        "version": "5.3.1",
    }


def write_session(path: Path, session: dict[str, Any] | None = None) -> Path:
    """The session on disk."""
    path.write_text(json.dumps(session or make_session()), encoding="utf-8")
    return path
