"""Plan cells that differ in one setting: the learning rate, or the number of blocks T."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.errors import UserError
from bench.planning.method_spec import MethodSpec, parse_methods
from bench.planning.plan import make_plan
from results.grid import GridPoint


def rate_points(rates: Sequence[float], **request: Any) -> tuple[list[GridPoint], float]:
    """Every method at every rate, and at its default, seed after seed.

    Args:
        rates: Learning rates.
        request: As for `make_plan`.

    Returns:
        The points, and the default rate, which a preset has for all methods.

    Raises:
        UserError: as `make_plan`.
    """
    cells = make_plan(**request)
    default = cells[0].config.lr
    seeds = dict.fromkeys(cell.seed for cell in cells)
    points = []
    for seed in seeds:
        of_seed = [cell for cell in cells if cell.seed == seed]
        for rate in sorted({*rates, default}):
            for cell in of_seed:
                changed = {
                    "method": f"{cell.method} (lr={rate:g})",
                    "config": cell.config.model_copy(update={"lr": rate}),
                }
                points.append(GridPoint(method=cell.method, value=rate, cell=cell.model_copy(update=changed)))
    return points, default


def depth_points(depths: Sequence[int], methods: str, **request: Any) -> list[GridPoint]:
    """Every method with every number of blocks, seed after seed.

    Args:
        depths: Values of T.
        methods: As for `parse_methods`.
        request: The rest of what `make_plan` takes.

    Raises:
        UserError: a method has no T, or has it given; or as `make_plan`.
    """
    specs = parse_methods(methods, {})
    for spec in specs:
        refuse_own_depth(spec)
        if "T" not in spec.options:
            raise UserError(f"{spec.label} is not accepted: it has no number of blocks T to vary")
    labels = {
        at_depth.label: spec.label
        for depth in sorted({*depths})
        for spec, at_depth in zip(specs, parse_methods(methods, {"T": str(depth)}), strict=True)
    }
    cells = make_plan(methods=",".join(labels), **request)
    return [GridPoint(method=labels[cell.method], value=cell.config.options["T"], cell=cell) for cell in cells]


def refuse_own_depth(spec: MethodSpec) -> None:
    """Check that the user has not chosen the method's T.

    Raises:
        UserError: it is given.
    """
    if "T" in spec.given:
        raise UserError(f"{spec.label} is not accepted: T is what --depths varies, so leave it out")
