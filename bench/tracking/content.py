"""What every tracker is told about a cell, under the names of the results' schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from results.schema import CellResult

_PER_EPOCH = ("train_loss", "val_accuracy", "test_accuracy", "train_seconds", "eval_seconds")
_AT_THE_END = (
    "test_accuracy",
    "val_accuracy",
    "train_seconds",
    "eval_seconds",
    "wall_seconds",
    "peak_rss_bytes",
    "rss_rise_bytes",
    "activation_bytes",
    "gpu_peak_allocated_bytes",
    "parameters",
)


def title(result: CellResult) -> str:
    """`digits/noprop[T=20]/seed0`."""
    return f"{result.dataset}/{result.method}/seed{result.seed}"


def settings(result: CellResult) -> dict[str, Any]:
    """What names the cell, and its whole configuration, nested fields as `options.T`, `tuning.trials`."""
    names = ("dataset", "method", "method_name", "seed")
    return {name: getattr(result, name) for name in names} | dict(_flat(result.config.model_dump()))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def history(result: CellResult) -> dict[int, dict[str, float]]:
    """The measures after each epoch, by its number."""
    return {epoch.epoch: {name: getattr(epoch, name) for name in _PER_EPOCH} for epoch in result.epochs}


def ending(result: CellResult) -> dict[str, float]:
    """The measures of the whole cell that it has: accuracy, time and memory."""
    values = {name: getattr(result, name) for name in _AT_THE_END}
    return {name: value for name, value in values.items() if value is not None}
