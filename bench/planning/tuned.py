"""What searches have found: files of winners, and the one for a method on a data set."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bench import datasets
from bench.errors import UserError
from bench.planning.presets import DEFAULT_TUNED, NEWEST, WINNERS_KEY, TunedSource
from results.conditions import Winner
from results.files import read_toml
from results.past_names import ByMethod
from results.schema import PlannedCell
from results.store import first_problem

WINNERS_FILE = "tuned.toml"
SEARCHED = ("lr", "weight_decay")
"""Fields of `CellConfig` that are searched for every method, besides the method's own options."""

_Table = dict[str, ByMethod[Winner]]
"""By data set and by label of the method."""
_TABLE = TypeAdapter(_Table)


@dataclass(frozen=True)
class Winners:
    """Winners by data set and by label of the method, `tuned` left out; and the files they are from."""

    table: Mapping[str, Mapping[str, Winner]]
    files: tuple[str, ...]

    def get(self, dataset: str, label: str) -> Winner:
        """The winner for a method on a data set.

        Raises:
            UserError: there is none.
        """
        there = self.table.get(dataset, {})
        if label in there:
            return there[label]
        known = f"there are some for {', '.join(there)}" if there else "there are none for that data set"
        raise UserError(
            f"{' and '.join(self.files)} has no tuned hyperparameters for {label} on {dataset} ({known}): make them "
            f"with python -m bench.tune --methods '{label}' --datasets {dataset}, or leave it out"
        )

    def of(self, cells: Iterable[PlannedCell]) -> dict[str, Any]:
        """Those that the cells were planned with, as a TOML table."""
        used = [(cell.dataset, cell.config.tuning) for cell in cells]
        return as_table(
            {
                dataset: {label: winner for label, winner in there.items() if (dataset, winner.tuning) in used}
                for dataset, there in self.table.items()
            }
        )


def as_table(winners: Mapping[str, Mapping[str, Winner]]) -> dict[str, Any]:
    """Winners as a TOML table, which has no null."""
    return {
        dataset: {label: winner.model_dump(exclude_none=True) for label, winner in there.items()}
        for dataset, there in winners.items()
        if there
    }


def keep_alike(
    before: Mapping[str, Mapping[str, Winner]], now: Mapping[str, Mapping[str, Winner]]
) -> dict[str, dict[str, Winner]]:
    """The winners found now, and the earlier ones that had the same budget on their data set."""
    merged = {dataset: dict(there) for dataset, there in now.items()}
    for dataset, there in before.items():
        budgets = [winner.tuning.budget for winner in now.get(dataset, {}).values()]
        for label, winner in there.items():
            if not budgets or winner.tuning.budget in budgets:
                merged.setdefault(dataset, {}).setdefault(label, winner)
    return merged


def find_winners(sources: Sequence[TunedSource], chosen: Iterable[str]) -> Winners | None:
    """The winners that `--config` asks for, if any; where files differ, the last one counts.

    `--config tuned` takes for each of the chosen data sets the newest file that has it.

    Raises:
        UserError: there is no such data set, there are no winners for one, or a file's are not valid.
    """
    if not sources:
        return None
    merged: _Table = {}
    files: dict[str, None] = {}
    for file, content in sources:
        found = _newest(chosen) if file == NEWEST else {file: _valid(content, file)}
        files |= dict.fromkeys(found)
        for table in found.values():
            for dataset, there in table.items():
                merged[dataset] = merged.get(dataset, {}) | there
    return Winners(merged, tuple(files))


def _newest(chosen: Iterable[str]) -> dict[str, _Table]:
    """For each data set the file with its newest winners, and those winners."""
    tables = {str(path): read_winners(path) for path in sorted(DEFAULT_TUNED.glob(f"*/{WINNERS_FILE}"))}
    found: dict[str, _Table] = {}
    for dataset in (datasets.get(name).name for name in chosen):
        found_at = {
            file: max(winner.tuning.found_at for winner in table[dataset].values())
            for file, table in tables.items()
            if table.get(dataset)
        }
        if not found_at:
            raise UserError(
                f"there are no tuned hyperparameters for {dataset} in {DEFAULT_TUNED}: make them with python -m "
                f"bench.tune --datasets {dataset}, or name a file, --config PATH/{WINNERS_FILE}"
            )
        file = max(found_at, key=lambda file: found_at[file])
        found.setdefault(file, {})[dataset] = tables[file][dataset]
    return found


def read_winners(path: Path) -> _Table:
    """The winners of a file.

    Raises:
        UserError: it cannot be read, or its winners are not valid.
    """
    try:
        content = read_toml(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read the winners in {path}: {error}") from None
    return _valid(content.get(WINNERS_KEY, {}), str(path))


def _valid(table: Any, file: str) -> _Table:
    if not isinstance(table, dict):
        raise UserError(f"{WINNERS_KEY!r} in {file} is no table: give the one that python -m bench.tune has written")
    try:
        return _TABLE.validate_python(table)
    except ValidationError as error:
        raise UserError(f"{file} has winners that are not valid: {WINNERS_KEY}.{first_problem('', error)}") from None
