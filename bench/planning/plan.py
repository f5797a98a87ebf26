"""From what the user asked for to the cells of a run, everything checked before the first one starts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch

import methods
from bench import datasets
from bench.errors import UserError
from bench.planning.method_spec import MethodSpec, parse_methods
from bench.planning.presets import OPTIMIZER, PAPER, PRESETS
from bench.planning.tuned import SEARCHED, Winners
from bench.training.ranks import share_of
from methods.core.method import TaskShape
from results.conditions import Augment, untuned
from results.schema import CellConfig, PlannedCell

_Name = TypeVar("_Name", int, str)
_Item = TypeVar("_Item")

SPLIT_SEED = 0
"""One split for all seeds and methods: seeds differ in initialisation, batches and noise, not in data."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for; None takes the preset's value."""

    methods: str
    datasets: tuple[str, ...]
    preset: str
    seeds: tuple[int, ...] | None = None
    epochs: int | None = None
    batch_size: int | None = None
    lr: float | None = None
    weight_decay: float | None = None
    train_size: int | None = None
    device: str
    threads: int
    settings: dict[str, str] = field(default_factory=dict)
    data_dir: Path | None
    augment: Augment = "none"
    amp: bool = False
    low_memory: bool = False
    """Whether methods that can be trained part after part are trained that way, too."""
    parallel: Literal["blocks"] | None = None
    eval_every: int = 1
    """Epochs from one evaluation to the next."""
    ranks: int = 1
    """How many processes will train a cell."""
    elsewhere: bool = False
    """Whether cells may run on other machines than this."""
    winners: Winners | None = None
    """What a search has found; None: every method has the same hyperparameters."""


def make_plan(request: Request) -> list[PlannedCell]:
    """Check the whole request, data included, and lay out its cells in the order in which to run them.

    Raises:
        UserError: anything in the request that cannot be done.
    """
    if request.preset not in PRESETS:
        raise UserError(f"unknown preset {request.preset!r}: the presets are {', '.join(PRESETS)}")
    preset = PRESETS[request.preset]
    specs = parse_methods(
        request.methods,
        request.settings,
        paper=request.preset == PAPER,
        low_memory=request.low_memory,
        tuned=request.winners is not None,
    )
    chosen = [datasets.get(name) for name in request.datasets]
    _distinct("data set", [dataset.name for dataset in chosen])
    seeds = _distinct("seed", preset.seeds if request.seeds is None else request.seeds)
    device = resolve_device(request.device, elsewhere=request.elsewhere)
    cells: list[PlannedCell] = []
    for dataset in chosen:
        here = [_searched(request, dataset.name, spec) for spec in specs]
        _check_fits(dataset, [spec for spec, _ in here], request.train_size, request.data_dir, request.ranks)
        for position, seed in enumerate(seeds):
            for spec, searched in _rotated(here, position):
                config = CellConfig(
                    preset=request.preset,
                    epochs=request.epochs or _preset_epochs(request.preset, dataset, spec),
                    batch_size=request.batch_size or preset.batch_size,
                    lr=preset.lr if request.lr is None else request.lr,
                    weight_decay=preset.weight_decay if request.weight_decay is None else request.weight_decay,
                    optimizer=spec.cls.paper.optimizer if request.preset == PAPER else OPTIMIZER,
                    train_size=request.train_size,
                    split_seed=SPLIT_SEED,
                    device=device,
                    threads=request.threads,
                    options=spec.options,
                    amp=request.amp,
                    parallel=request.parallel,
                    eval_every=request.eval_every,
                    augment=request.augment,
                ).model_copy(update=searched)
                cells.append(
                    PlannedCell(
                        dataset=dataset.name, method=spec.label, method_name=spec.cls.name, seed=seed, config=config
                    )
                )
    return cells


def _searched(request: Request, dataset: str, spec: MethodSpec) -> tuple[MethodSpec, dict[str, Any]]:
    """A method as it is on a data set, and the fields of its configuration that a search has found.

    Raises:
        UserError: it is to be tuned and nothing was found for it, or it is told what was searched.
    """
    if not spec.tuned or request.winners is None:
        return spec, {}
    for name in SEARCHED:
        if getattr(request, name) is not None:
            raise UserError(
                f"--{name.replace('_', '-')} is not accepted with {spec.label}, whose own was found by a search: leave "
                "it out"
            )
    winner = request.winners.get(dataset, untuned(spec.label))
    try:
        options = spec.cls.Options.parse(spec.options | winner.options).as_dict()
    except methods.MethodError as error:
        raise UserError(f"the tuned hyperparameters of {spec.label} on {dataset} do not fit: {error}") from None
    return replace(spec, options=options), {
        **{name: getattr(winner, name) for name in SEARCHED},
        "tuning": winner.tuning,
    }


def plan_one_method(request: Request, why: str) -> list[PlannedCell]:
    """`make_plan` for a request that may name only one method.

    Raises:
        UserError: it names several, of which `why` says why they are not accepted; or as `make_plan`.
    """
    cells = make_plan(request)
    if len({cell.method for cell in cells}) > 1:
        raise UserError(f"{request.methods!r} is more than one method: {why}")
    return cells


def _preset_epochs(preset: str, dataset: datasets.Dataset, spec: MethodSpec) -> int:
    """The data set's, or in the preset `paper` what the paper gives for this very method and data set."""
    own = spec.cls.paper.epochs.get(dataset.name) if preset == PAPER else None
    return own or dataset.epochs[preset]


def check_cells(
    cells: Sequence[PlannedCell], data_dir: Path | None, ranks: int = 1, *, elsewhere: bool = False
) -> None:
    """Check that cells planned earlier, and perhaps on another machine, can be run now; here, or `elsewhere`.

    Raises:
        UserError: a device, data set or method is not here, or does not fit.
    """
    for device in {cell.config.device for cell in cells}:
        resolve_device(device, elsewhere=elsewhere)
    specs: dict[tuple[str, int | None], dict[str, MethodSpec]] = {}
    for cell in cells:
        try:
            spec = MethodSpec(cell.method, methods.get(cell.method_name), cell.config.options)
        except methods.MethodError as error:
            raise UserError(str(error)) from None
        specs.setdefault((cell.dataset, cell.config.train_size), {})[cell.method] = spec
    for (name, train_size), by_label in specs.items():
        _check_fits(datasets.get(name), list(by_label.values()), train_size, data_dir, ranks)


def resolve_device(name: str, *, elsewhere: bool = False) -> str:
    """`auto`, `cpu`, `cuda` or `cuda:N` to `cpu` or `cuda:N`.

    Args:
        name: What was asked for.
        elsewhere: Whether it may be that of another machine, where a launcher gives a cell one card; `auto` is still
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
    if elsewhere:
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


def _rotated(specs: list[_Item], by: int) -> Iterable[_Item]:
    """Another method first for each seed, so that a machine that slows down or warms up does so for all alike."""
    start = by % len(specs)
    return specs[start:] + specs[:start]


def _check_fits(
    dataset: datasets.Dataset, specs: list[MethodSpec], train_size: int | None, data_dir: Path | None, ranks: int
) -> None:
    """Load the data once and build every method for them, so that whatever does not fit shows before any training."""
    raw = dataset.load(data_dir)
    datasets.make_splits(raw, num_classes=dataset.num_classes, train_size=train_size, split_seed=SPLIT_SEED)
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
