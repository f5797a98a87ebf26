"""One training, many inferences: cells that differ in options that act at inference alone share one training."""

from collections.abc import Iterable

import methods
from results.schema import PlannedCell


def share_trainings(cells: Iterable[PlannedCell]) -> list[PlannedCell]:
    """The cells in the same order, those that train alike `trained_with` the first of them, of the run's first seed."""
    cells = list(cells)
    alike: dict[tuple[str, int, str], list[PlannedCell]] = {}
    for cell in cells:
        acting = methods.get(cell.method_name).Options.inference_only()
        options = {name: value for name, value in cell.config.options.items() if name not in acting}
        config = cell.config.model_copy(update={"options": options}).model_dump_json()
        alike.setdefault((cell.dataset, cell.seed, f"{cell.method_name} {config}"), []).append(cell)
    order = list(dict.fromkeys(cell.method for cell in cells))
    trained_with = {
        cell.key: min((each.method for each in group), key=order.index)
        for group in alike.values()
        for cell in group
        if len(group) > 1
    }
    return [cell.model_copy(update={"trained_with": trained_with.get(cell.key)}) for cell in cells]


def group_by_training(cells: Iterable[PlannedCell]) -> list[list[PlannedCell]]:
    """The cells of each training, that which trains first, in the order in which trainings first occur."""
    groups: dict[tuple[str, str, int], list[PlannedCell]] = {}
    for cell in cells:
        groups.setdefault(cell.training, []).append(cell)
    return [sorted(group, key=lambda cell: cell.key != cell.training) for group in groups.values()]
