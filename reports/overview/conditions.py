"""Under which conditions a cell was trained: cells that agree in them belong in one comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reports.formats.markdown import plural
from reports.published.paper import published
from results.schema import CellConfig, CellResult

NOT_CONDITIONS = frozenset({"preset", "device", "threads", "parallel", "eval_every", "options", "tuning"})
"""Fields of `CellConfig` that decide how or where a cell is computed, or what a method is, but not the budget."""
OWN_WHEN_TUNED = ("lr", "weight_decay")
"""What a search finds for each method: in common is then only the search's budget."""
TUNED = "tuned"


@dataclass(frozen=True, slots=True)
class Conditions:
    """A data set at a budget."""

    dataset: str
    fingerprint: str
    """Of the data as used; empty where a row does not say it."""
    settings: tuple[tuple[str, Any], ...]
    """Of `CellConfig`, by name."""
    search: tuple[object, ...] | None
    """The budget of the search that found each method's settings; None: they were given."""

    @property
    def by_name(self) -> dict[str, Any]:
        """The settings."""
        return dict(self.settings)


def conditions_of(cell: CellResult) -> Conditions:
    """The conditions of a finished cell."""
    config = cell.config
    own = NOT_CONDITIONS | set(OWN_WHEN_TUNED if config.tuning else ())
    settings = tuple((name, getattr(config, name)) for name in CellConfig.model_fields if name not in own)
    fingerprint = cell.data.fingerprint if cell.data is not None else ""
    return Conditions(cell.dataset, fingerprint, settings, config.tuning.budget if config.tuning else None)


def label_of(conditions: Conditions, cell: CellResult) -> str:
    """The comparison for people: `mnist, 7 epochs`, and whatever differs from the usual settings."""
    settings, usual = conditions.by_name, published().training_of_all
    parts = [conditions.dataset]
    if settings["train_size"] is not None:
        parts.append(plural(settings["train_size"], "image"))
    parts.append(plural(settings["epochs"], "epoch"))
    parts += [TUNED] if conditions.search else []
    parts += ["bfloat16"] if settings["amp"] else []
    parts += ["augmented"] if settings["augment"] != "none" else []
    parts += ["duplicates allowed"] if settings["duplicates"] else []
    parts += ["part of the data"] if cell.data is not None and cell.data.partial else []
    parts += [settings["optimizer"]] if settings["optimizer"].lower() != "adamw" else []
    for name, short in (("batch_size", "batches of"), ("lr", "learning rate"), ("weight_decay", "weight decay")):
        if settings.get(name, getattr(usual, name)) != getattr(usual, name):
            parts.append(f"{short} {settings[name]:g}")
    parts += [f"{settings['lr_schedule']} schedule"] if settings["lr_schedule"] != "constant" else []
    parts += [f"{settings['warmup_steps']:,} steps of warm-up"] if settings["warmup_steps"] else []
    parts += [f"clipped at {settings['clip']:g}"] if settings["clip"] else []
    parts += [f"weights averaged with {settings['ema']:g}"] if settings["ema"] else []
    parts += [f"split {settings['split_seed']}"] if settings["split_seed"] else []
    return ", ".join(parts)


def step_of(dataset: str, config: CellConfig) -> tuple[object, ...]:
    """What decides how long a training step takes on a machine, but for the method: neither epochs nor images do."""
    return (dataset, config.batch_size, config.optimizer, config.amp, config.clip, config.ema)
