"""Two runs side by side: which cells of the newer are compared with which of the older, and which cannot be.

A cell has a partner in the other run if data set, method and seed are the same. What two partners do not share decides
what may be said of them:

- another configuration, or other data: nothing. They are not the same experiment, and the method is *refused*.
- another machine, device or number of threads, cells side by side, or machines that a launcher chose: the figures that
  hang on it are not judged (`Pair.obstacles`), the others are.
- another version of anything (commit, PyTorch, driver), or an option that only one of the two versions knows: it is
  said, and everything is judged. To find what such a change does is what a comparison of two runs is for.

In all reasons A is the older run and B the newer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reports.sections.matching import FINGERPRINT_DIGITS, shown
from reports.view import RunView, parse_utc
from results.schema import CellConfig, CellResult, Environment, RunRecord
from results.sharing import jobs_here, placed

Key = tuple[str, str, int]
"""(data set, method, seed)."""

MACHINE = ("cpu", "cores", "gpu")
"""Fields of `Environment` that make a machine another one."""
CONDITIONS = ("threads", "device")
"""Fields of `CellConfig` that change what a cell costs, and not what it computes."""
NAMES = ("preset", "tuning")
"""Fields of `CellConfig` that only name values which other fields hold, or say how they were found."""
COST = ("train_seconds", "rss_rise_bytes", "gpu_peak_allocated_bytes")
"""Fields of `CellResult` that hang on the machine and the number of threads."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some seeds of one method on one data set, and what there is to say of them."""

    dataset: str
    method: str
    seeds: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class Pair:
    """One method on one data set in both runs: the finished cells of the seeds that both have, in order of seed."""

    dataset: str
    method: str
    old: tuple[CellResult, ...]
    new: tuple[CellResult, ...]
    obstacles: dict[str, str]
    """By field of `CellResult`: why it is not judged."""


@dataclass(frozen=True, slots=True)
class Pairing:
    """What of two runs is compared, and what is not."""

    pairs: list[Pair]
    refused: list[Group]
    """Finished in both, but not the same experiment."""
    missing: list[Group]
    """Finished in A and not in B."""
    unfinished: list[Group]
    """Not finished in A, so that there is nothing to compare B with."""
    added: list[Group]
    """Only in B."""
    retried: list[Group]
    """Finished in B, but not at the first attempt."""
    changes: list[str]
    """What else differs."""
    is_reversed: bool
    """A was made after B."""


def pair_runs(old: RunView, new: RunView) -> Pairing:
    """Find every cell's partner, and what the two do not share."""
    ours, theirs = ({cell.key: cell for cell in view.cells} for view in (old, new))
    our_reasons, their_reasons = (
        {(cell.dataset, cell.method, cell.seed): cell.reason for cell in view.missing} for view in (old, new)
    )
    partners: dict[tuple[str, str], _Partners] = {}
    for key, cell in ours.items():
        if key in theirs:
            partners.setdefault((cell.dataset, cell.method), []).append((cell, theirs[key]))
    pairs: list[Pair] = []
    refused: list[Group] = []
    changes: dict[str, None] = {}
    for (dataset, method), cells in partners.items():
        if differing := [*_other_settings(cells), *_other_data(cells)]:
            refused.append(Group(dataset, method, tuple(a.seed for a, _ in cells), "; ".join(differing)))
            continue
        a, b = zip(*cells, strict=True)
        pairs.append(Pair(dataset, method, a, b, _obstacles(cells, old, new)))
        changes |= dict.fromkeys(_changes(cells))
    return Pairing(
        pairs=pairs,
        refused=refused,
        missing=_grouped((key, their_reasons.get(key, "not part of the run")) for key in ours if key not in theirs),
        unfinished=_grouped(
            (key, f"{reason}; finished in B" if key in theirs else reason) for key, reason in our_reasons.items()
        ),
        added=_grouped(
            (key, their_reasons.get(key, "finished"))
            for key in [*theirs, *their_reasons]
            if key not in ours and key not in our_reasons
        ),
        retried=_grouped((key, f"attempt {cell.attempt}") for key, cell in theirs.items() if cell.attempt > 1),
        changes=list(changes),
        is_reversed=_made_after(old.record, new.record),
    )


_Partners = list[tuple[CellResult, CellResult]]


def _grouped(found: Iterable[tuple[Key, str]]) -> list[Group]:
    """Seeds of the same method with the same reason together."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for (dataset, method, seed), reason in found:
        groups.setdefault((dataset, method, reason), []).append(seed)
    return [Group(dataset, method, tuple(seeds), reason) for (dataset, method, reason), seeds in groups.items()]


def _other_settings(partners: _Partners) -> Iterator[str]:
    """What makes the configurations two experiments. Options count where both versions know them."""
    for field in CellConfig.model_fields:
        if field not in (*CONDITIONS, *NAMES, "options"):
            yield from _differing(field, ((getattr(a.config, field), getattr(b.config, field)) for a, b in partners))
    for name in dict.fromkeys(name for a, b in partners for name in a.config.options if name in b.config.options):
        yield from _differing(f"option {name}", ((a.config.options[name], b.config.options[name]) for a, b in partners))


def _other_data(partners: _Partners) -> Iterator[str]:
    prints = ((a.data and a.data.fingerprint, b.data and b.data.fingerprint) for a, b in partners)
    yield from _differing("data (fingerprint)", prints, _short)


def _obstacles(partners: _Partners, old: RunView, new: RunView) -> dict[str, str]:
    """Why figures are not judged, by field."""
    machine = [
        *(text for field in MACHINE for text in _conditions(partners, field, "environment")),
        *(text for field in CONDITIONS for text in _conditions(partners, field, "config")),
    ]
    device = list(_conditions(partners, "device", "config"))
    mark = list(_differing("measured by", ((a.rss_source, b.rss_source) for a, b in partners)))
    # Also where both had the same: how cells fell side by side, or on machines, is chance.
    shared = []
    if any(placed(cells) for cells in zip(*partners, strict=True)):
        launchers = (" or ".join(sorted({cell.launcher for cell in cells})) for cells in zip(*partners, strict=True))
        shared.append(f"machines that a launcher chose (--launcher {' and '.join(launchers)})")
    elif max(jobs := [jobs_here(view.record) for view in (old, new)]) > 1:
        shared.append(f"cells side by side (--jobs {jobs[0]} and {jobs[1]})")
    reasons = {field: list(machine) for field in COST} | {"activation_bytes": device}
    reasons["train_seconds"] += shared
    reasons["rss_rise_bytes"] += mark
    return {field: ", ".join(texts) for field, texts in reasons.items() if texts}


def _conditions(partners: _Partners, field: str, record: str) -> Iterator[str]:
    pairs = ((getattr(getattr(a, record), field), getattr(getattr(b, record), field)) for a, b in partners)
    return _differing(field, pairs)


def _changes(partners: _Partners) -> Iterator[str]:
    """Differences that are no obstacle."""
    for field in Environment.model_fields:
        if field not in (*MACHINE, "memory_bytes", "commit"):
            yield from _conditions(partners, field, "environment")
    # Rounded before they are compared: a kernel keeps a little more or less for itself.
    yield from _differing("memory", ((_gib(a.environment), _gib(b.environment)) for a, b in partners))
    yield from _differing("commit", ((a.environment.commit, b.environment.commit) for a, b in partners), _short)
    ways = [(a.execution, b.execution) for a, b in partners if a.execution and b.execution]
    yield from _differing("execution", ways)
    yield from _differing("ranks", ((a.world_size, b.world_size) for a, b in partners))
    for field in NAMES:
        yield from _conditions(partners, field, "config")
    for a, b in partners:
        for name in sorted(a.config.options.keys() ^ b.config.options.keys()):
            yield f"option {name} of {a.method}: known to {'A' if name in a.config.options else 'B'} alone"


def _gib(environment: Environment) -> str:
    return f"{environment.memory_bytes / 2**30:.1f} GiB"


def _made_after(old: RunRecord, new: RunRecord) -> bool:
    """Whether the run given as the older is the newer; False where a time cannot be read."""
    try:
        return parse_utc(old.created_at) > parse_utc(new.created_at)
    except ValueError:
        return False


def _differing(what: str, pairs: Iterable[tuple[Any, Any]], text: Callable[[Any], str] = shown) -> Iterator[str]:
    """`what: A's value against B's` for each way in which pairs of values differ."""
    different = [
        tuple("none" if value is None else text(value) for value in pair) for pair in pairs if pair[0] != pair[1]
    ]
    yield from (f"{what}: {a} against {b}" for a, b in dict.fromkeys(different))


def _short(digits: str) -> str:
    """The beginning of a long hexadecimal number; what follows a dash stays."""
    number, dash, rest = digits.partition("-")
    return number[:FINGERPRINT_DIGITS] + dash + rest
