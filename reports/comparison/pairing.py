"""Two runs side by side: which cells of the newer are compared with which of the older, and which cannot be.

Cells are partners if data set, method and seed are the same; data that are named by a path are known by their
fingerprint. What two partners do not share decides what may be said:

- another configuration, or other data: nothing. It is another experiment, and the method is *refused*.
- another machine, device or number of threads, cells side by side, or machines that a launcher chose: the measures that
  depend on it are not judged (`Pair.obstacles`), the others are.
- another version of anything (commit, PyTorch, driver), or an option that only one of the two versions knows: it is
  said, and everything is judged. To find the effect of such a change is what a comparison of two runs is for.

In all reasons A is the older run and B the newer.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from reports.formats.markdown import FINGERPRINT_DIGITS, shown
from reports.view import RunView, parse_utc
from results.schema import CellConfig, CellResult, RunRecord
from results.sharing import has_moved, jobs_here, placed

Key = tuple[str, str, int]
"""(data set, method, seed)."""
Partners = Sequence[tuple[CellResult, CellResult]]

MACHINE = ("cpu", "cores", "gpu", "threads", "device")
"""What changes the cost of a cell, and not what it computes: fields of `Environment` and of `CellConfig`."""
COST = ("train_seconds", "rss_rise_bytes", "gpu_peak_allocated_bytes")
"""Fields of `CellResult` that depend on all of `MACHINE`."""
LABELS = ("preset", "tuning", "duplicates")
"""Fields of `CellConfig` that only name values of other fields, or say how they were found or what was accepted."""
EXPERIMENT = {*CellConfig.model_fields, "data (fingerprint)"} - {*MACHINE, *LABELS}
"""What makes two cells different experiments, besides the options that both versions know."""


@dataclass(frozen=True, slots=True)
class Group:
    """Some seeds of one method on one data set with the same reason."""

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
    """What is compared of two runs, and what is not."""

    pairs: list[Pair]
    refused: list[Group]
    """Finished in both, but not the same experiment."""
    missing: list[Group]
    """Finished in A and not in B."""
    unfinished: list[Group]
    """Not finished in A, so there is nothing to compare B with."""
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
    moved = _moved(old, new)
    ours = {cell.key: cell for cell in old.cells}
    theirs = {(moved.get(cell.dataset, cell.dataset), cell.method, cell.seed): cell for cell in new.cells}
    our_reasons, their_reasons = (
        {(names.get(cell.dataset, cell.dataset), cell.method, cell.seed): cell.reason for cell in view.missing}
        for view, names in ((old, dict[str, str]()), (new, moved))
    )
    partners: defaultdict[tuple[str, str], list[tuple[CellResult, CellResult]]] = defaultdict(list)
    for key in (key for key in ours if key in theirs):
        partners[key[:2]].append((ours[key], theirs[key]))
    pairs: list[Pair] = []
    refused: list[Group] = []
    changes = dict.fromkeys(
        f"data set: {theirs} in B is {ours} in A, by its fingerprint" for theirs, ours in moved.items()
    )
    for (dataset, method), cells in partners.items():
        found, alone = _differences(cells), _options_of_one_version(cells)
        if reasons := [text for what, texts in found.items() if _is_refused(what) for text in texts]:
            refused.append(Group(dataset, method, tuple(a.seed for a, _ in cells), "; ".join(reasons)))
            continue
        a, b = zip(*cells, strict=True)
        pairs.append(Pair(dataset, method, a, b, _obstacles(found, cells, old, new)))
        harmless = (texts for what, texts in found.items() if what not in (*MACHINE, "measured by"))
        changes |= dict.fromkeys(text for texts in (*harmless, alone) for text in texts)
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


def _moved(old: RunView, new: RunView) -> dict[str, str]:
    """Names in B of data sets whose name in A is another: a name that is a path says where data are, not what."""
    ours, theirs = (_own_data(view) for view in (old, new))
    found: dict[str, str] = {}
    for name in theirs.keys() - ours.keys():
        for known in sorted(ours.keys() - theirs.keys() - {*found.values()}):
            if ours[known] & theirs[name]:
                found[name] = known
                break
    return found


def _own_data(view: RunView) -> dict[str, set[str]]:
    """Fingerprints of the data sets that are named by a path."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for cell in view.cells:
        if ":" in cell.dataset and cell.data:
            found[cell.dataset].add(cell.data.fingerprint)
    return found


def _grouped(found: Iterable[tuple[Key, str]]) -> list[Group]:
    """Seeds of the same method with the same reason together."""
    groups: defaultdict[tuple[str, str, str], list[int]] = defaultdict(list)
    for (dataset, method, seed), reason in found:
        groups[dataset, method, reason].append(seed)
    return [Group(dataset, method, tuple(seeds), reason) for (dataset, method, reason), seeds in groups.items()]


def _facts(cell: CellResult) -> dict[str, Any]:
    """Everything in which a cell may differ from its partner, by name."""
    config, environment = dict(cell.config), dict(cell.environment)
    labels = {label: config.pop(label) for label in LABELS}
    options, memory, commit = config.pop("options"), environment.pop("memory_bytes"), environment.pop("commit")
    return {
        **config,
        **{f"option {name}": value for name, value in options.items()},
        "data (fingerprint)": _short(cell.data.fingerprint) if cell.data else None,
        **environment,
        "memory": f"{memory / 2**30:.1f} GiB",  # rounded: a kernel keeps a little more or less for itself
        "commit": commit and _short(commit),
        **({"execution": cell.execution} if cell.execution else {}),
        "ranks": cell.world_size,
        **labels,
        "measured by": cell.rss_source,
    }


def _differences(partners: Partners) -> dict[str, list[str]]:
    """By what differs: `what: A's value against B's`, once for each way in which partners differ in it."""
    found: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for ours, theirs in ((_facts(a), _facts(b)) for a, b in partners):
        for what in ours:
            if what in theirs and ours[what] != theirs[what]:
                a, b = ("none" if value is None else shown(value) for value in (ours[what], theirs[what]))
                found[what][f"{what}: {a} against {b}"] = None
    return {what: list(texts) for what, texts in found.items()}


def _options_of_one_version(partners: Partners) -> list[str]:
    return [
        f"option {name} of {a.method}: known to {'A' if name in a.config.options else 'B'} alone"
        for a, b in partners
        for name in sorted(a.config.options.keys() ^ b.config.options.keys())
    ]


def _is_refused(what: str) -> bool:
    return what in EXPERIMENT or what.startswith("option ")


def _obstacles(found: dict[str, list[str]], partners: Partners, old: RunView, new: RunView) -> dict[str, str]:
    """Why measures are not judged, by field of `CellResult`."""
    machine = [text for what in MACHINE for text in found.get(what, [])]
    reasons = {field: list(machine) for field in COST} | {
        "activation_bytes": [*found.get("device", []), *found.get("layers", [])]
    }
    reasons["rss_rise_bytes"] += [*found.get("measured by", []), *found.get("layers", [])]
    # Also if both runs had the same: how cells fall side by side, or on machines, is chance.
    if any(placed(cells) for cells in zip(*partners, strict=True)):
        launchers = (" or ".join(sorted({cell.launcher for cell in cells})) for cells in zip(*partners, strict=True))
        reasons["train_seconds"].append(f"machines that a launcher chose (--launcher {' and '.join(launchers)})")
    elif max(jobs := [jobs_here(view.record) for view in (old, new)]) > 1:
        reasons["train_seconds"].append(f"cells side by side (--jobs {jobs[0]} and {jobs[1]})")
    elif any(has_moved(cell) for cells in zip(*partners, strict=True) for cell in cells):
        reasons["train_seconds"].append("cells in parts on several machines")
    return {field: ", ".join(texts) for field, texts in reasons.items() if texts}


def _made_after(old: RunRecord, new: RunRecord) -> bool:
    """Whether the run given as the older is the newer; False if a time cannot be read."""
    try:
        return parse_utc(old.created_at) > parse_utc(new.created_at)
    except ValueError:
        return False


def _short(digits: str) -> str:
    """The beginning of a long hexadecimal number; a part after a dash stays."""
    number, dash, rest = digits.partition("-")
    return number[:FINGERPRINT_DIGITS] + dash + rest
