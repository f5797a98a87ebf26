"""Lay out the cells of a run, with everything checked before the first one starts."""

import dataclasses
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import torch

import methods
from bench import datasets
from bench.errors import UserError
from bench.meters.environment import has_bfloat16
from bench.planning.method_spec import MethodSpec, parse_methods
from bench.planning.presets import OPTIMIZER, PAPER, PRESETS
from bench.planning.tuned import SEARCHED, Winners
from bench.training.ranks import share_of
from methods.core.method import TaskShape
from results.conditions import DataRecord, untuned
from results.data_warnings import data_warnings
from results.schema import CellConfig, CellResult, PlannedCell

_Name = TypeVar("_Name", int, str)
_Item = TypeVar("_Item")

SPLIT_SEED = 0
"""One split for all seeds and methods: seeds differ in initialisation, batches and noise, not in data."""


@dataclass(frozen=True)
class DataUse:
    """What of a data set is used: arguments of `make_splits` that a configuration gives."""

    train_size: int | None
    allow_duplicates: bool


def make_plan(
    *,
    methods: str,
    datasets: Sequence[str],
    preset: str,
    seeds: Sequence[int] | None = None,
    settings: Mapping[str, str] | None = None,
    low_memory: bool = False,
    data_dir: Path | None = None,
    ranks: int = 1,
    is_remote: bool = False,
    winners: Winners | None = None,
    **config: Any,
) -> list[PlannedCell]:
    """Check everything, data included, and lay out the cells in the order in which to run them.

    Args:
        methods: As for `parse_methods`, with `settings` and `low_memory`.
        datasets: Names.
        preset: Name.
        seeds: None: the preset's.
        settings: Options for every method that has them.
        low_memory: Whether to add rows in low memory.
        data_dir: The user's data folder, if any.
        ranks: Processes that will train a cell.
        is_remote: Whether cells may run on other machines.
        winners: Of a search; None: every method has the same hyperparameters.
        config: Fields of `CellConfig`, the same for all cells; None: the preset's value.

    Raises:
        UserError: anything that cannot be done.
    """
    if preset not in PRESETS:
        raise UserError(f"unknown preset {preset!r}: the presets are {', '.join(PRESETS)}")
    specs = parse_methods(
        methods, settings or {}, paper=preset == PAPER, low_memory=low_memory, tuned=winners is not None
    )
    chosen = _get_datasets(datasets)
    seeds = _distinct("seed", PRESETS[preset].seeds if seeds is None else seeds)
    given = {name: value for name, value in config.items() if value is not None}
    given["device"] = resolve_device(given["device"], is_remote=is_remote)
    _say_if_slow(given["device"], amp=given.get("amp", False), is_remote=is_remote)
    cells: list[PlannedCell] = []
    for dataset in chosen:
        here = [_searched(spec, dataset.name, winners, given) for spec in specs]
        wanted = DataUse(given.get("train_size"), given.get("duplicates", False))
        for sentence in data_warnings(_check_fits(dataset, [spec for spec, _ in here], wanted, data_dir, ranks)):
            print(f"note: {dataset.name}: {sentence}", file=sys.stderr)
        for position, seed in enumerate(seeds):
            for spec, found in _rotated(here, position):
                _check_ema(spec, given.get("ema"))
                settled = CellConfig(**_preset_values(preset, dataset, spec) | given | found, options=spec.options)
                cells.append(
                    PlannedCell(
                        dataset=dataset.name, method=spec.label, method_name=spec.cls.name, seed=seed, config=settled
                    )
                )
    return cells


def plan_one_method(method: str, why: str, **request: Any) -> list[PlannedCell]:
    """`make_plan` for one method.

    Raises:
        UserError: `method` names several, and `why` says why only one is accepted; or as `make_plan`.
    """
    cells = make_plan(methods=method, **request)
    if len({cell.method for cell in cells}) > 1:
        raise UserError(f"{method!r} is more than one method: {why}")
    return cells


def _say_if_slow(device: str, *, amp: bool, is_remote: bool) -> None:
    if amp and not is_remote and has_bfloat16(device) is False:
        print(f"note: --amp: {device} has no instructions for bfloat16, so float32 is faster", file=sys.stderr)


def _get_datasets(names: Sequence[str]) -> list[datasets.Dataset]:
    found = [datasets.get(name) for name in names]
    _distinct("data set", [dataset.name for dataset in found])
    return found


def _preset_values(name: str, dataset: datasets.Dataset, spec: MethodSpec) -> dict[str, Any]:
    """The fields of a cell's configuration that a preset gives; `paper` has the paper's for a method and data set."""
    preset, paper = PRESETS[name], spec.cls.paper if name == PAPER else None
    return {
        "preset": name,
        "epochs": (paper.epochs.get(dataset.name) if paper else None) or dataset.epochs[name],
        "batch_size": preset.batch_size,
        "lr": preset.lr,
        "weight_decay": preset.weight_decay,
        "optimizer": paper.optimizer if paper else OPTIMIZER,
        "train_size": None,
        "split_seed": SPLIT_SEED,
    }


def _searched(
    spec: MethodSpec, dataset: str, winners: Winners | None, given: Mapping[str, Any]
) -> tuple[MethodSpec, dict[str, Any]]:
    """A method as it is on a data set, and the fields of its configuration that a search has found.

    Raises:
        UserError: it is to be tuned and nothing was found for it, or it is given what was searched.
    """
    if not spec.tuned or winners is None:
        return spec, {}
    for name in SEARCHED:
        if name in given:
            raise UserError(
                f"--{name.replace('_', '-')} is not accepted with {spec.label}, whose own was found by a search: leave "
                "it out"
            )
    winner = winners.get(dataset, untuned(spec.label))
    try:
        options = spec.cls.Options.parse(spec.options | winner.options).as_dict()
    except methods.MethodError as error:
        raise UserError(f"the tuned hyperparameters of {spec.label} on {dataset} do not fit: {error}") from None
    return replace(spec, options=options), {name: getattr(winner, name) for name in (*SEARCHED, "tuning")}


def check_cells(
    cells: Sequence[PlannedCell],
    data_dir: Path | None,
    ranks: int = 1,
    *,
    done: Iterable[CellResult] = (),
    is_remote: bool = False,
) -> None:
    """Check that cells planned earlier, perhaps on another machine, can run now.

    Args:
        cells: What is to run.
        data_dir: The user's data folder, if any.
        ranks: Processes that will train a cell.
        done: Rows of the same run: data that have moved since must be the same.
        is_remote: Whether cells may run on other machines.

    Raises:
        UserError: a device, data set or method is not here, or does not fit, or data are not what they were.
    """
    for device, amp in sorted({(cell.config.device, cell.config.amp) for cell in cells}):
        _say_if_slow(resolve_device(device, is_remote=is_remote), amp=amp, is_remote=is_remote)
    specs: dict[tuple[str, DataUse], dict[str, MethodSpec]] = {}
    for cell in cells:
        try:
            spec = MethodSpec(cell.method, methods.get(cell.method_name), cell.config.options)
        except methods.MethodError as error:
            raise UserError(str(error)) from None
        wanted = DataUse(cell.config.train_size, cell.config.duplicates)
        specs.setdefault((cell.dataset, wanted), {})[cell.method] = spec
    for (name, wanted), by_label in specs.items():
        here = datasets.placed(name, data_dir)
        found = _check_fits(datasets.get(here), list(by_label.values()), wanted, data_dir, ranks)
        same = [row for row in done if (row.dataset, row.config.train_size) == (name, wanted.train_size) and row.data]
        if Path(here).name != Path(name).name and not same:
            raise UserError(
                f"no finished cell of this run shows that {here} is {name}: give it its old name, or start anew"
            )
        for row in same if here != name else ():
            if row.data is not None and row.data.fingerprint != found.fingerprint:
                raise UserError(
                    f"the data of {name} are not those that this run has been trained on (by their fingerprint): put "
                    "those back, or give their folder with --data-dir, or start a new run without --resume"
                )


def resolve_device(name: str, *, is_remote: bool = False) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` to `cpu` or `cuda:N`.

    Args:
        name: What was asked for.
        is_remote: Whether it may be that of another machine, where a launcher gives a cell one card; `auto` is still
            what this machine has.

    Raises:
        UserError: no such device, or none of that kind on this machine.
    """
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return "cuda:0" if cards else "cpu"
    if name == "cpu":
        return "cpu"
    kind, colon, number = name.partition(":")
    if kind != "cuda" or (colon and not number.isdecimal()):
        raise UserError(f"unknown device {name!r}: the devices are auto, cpu, cuda and cuda:N")
    if is_remote:
        if int(number or 0) > 0:
            raise UserError(
                f"device {name!r} is not accepted with a launcher: it gives each cell one card of a machine, so give "
                "cuda, cpu or auto"
            )
        return "cuda:0"
    if not cards:
        raise UserError(f"device {name!r} was asked for, but PyTorch sees no CUDA card here: use cpu or auto")
    if int(number or 0) >= cards:
        raise UserError(f"device {name!r} was asked for, but there are only {cards} cards: cuda:0 to cuda:{cards - 1}")
    return f"cuda:{number or 0}"


def _distinct(kind: str, items: Sequence[_Name]) -> Sequence[_Name]:
    if not items:
        raise UserError(f"the list of {kind}s is empty: give at least one {kind}")
    for item in items:
        if items.count(item) > 1:
            raise UserError(f"{kind} {item!r} is given more than once: give each once")
    return items


def _check_ema(spec: MethodSpec, ema: float | None) -> None:
    if ema is not None and spec.cls.has_low_memory(spec.options):
        raise UserError(f"--ema is not accepted with {spec.label}: the averages would stay in memory; leave one out")


def _rotated(specs: list[_Item], by: int) -> Iterable[_Item]:
    """Another method first for each seed: a machine that slows down or warms up does so for all alike."""
    start = by % len(specs)
    return specs[start:] + specs[:start]


def _check_fits(
    dataset: datasets.Dataset, specs: list[MethodSpec], wanted: DataUse, data_dir: Path | None, ranks: int
) -> DataRecord:
    """Load the data once and build every method for them: whatever does not fit shows before any training."""
    raw = dataset.load(data_dir)
    splits = datasets.make_splits(
        raw, num_classes=dataset.num_classes, split_seed=SPLIT_SEED, **dataclasses.asdict(wanted)
    )
    channels, height, width = raw.x_train.shape[1:]
    shape = TaskShape(channels, height, width, dataset.num_classes)
    for spec in specs:
        try:
            method = spec.cls(shape, spec.cls.Options.parse(spec.options))
            if ranks > 1:
                share_of(method, ranks)
        except methods.MethodError as error:
            raise UserError(f"{spec.label} on {dataset.name}: {error}") from None
        except Exception:  # noqa: S112 - a fault in a method's code, not in the request: its cells will say so
            continue
    return splits.record
