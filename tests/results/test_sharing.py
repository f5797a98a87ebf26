"""When times are said not to be those of a cell that has a machine to itself, and why."""

from __future__ import annotations

from typing import Any

import pytest

from results.sharing import sharing
from tests.factories import make_cell, make_run

ELSEWHERE = {"launcher": "slurm", "node": "a"}


@pytest.mark.parametrize(
    ("record", "rows", "said"),
    [
        ({}, [{}], None),
        ({"jobs": 2}, [{}], "cells ran 2 at a time"),
        ({"launcher": "slurm", "jobs": 9}, [{}], None),  # all done again here, one after another
        ({}, [{"earlier_machines": ["a", "a"], "node": "a"}], None),
        ({}, [{}, {"earlier_machines": ["b"], "node": "a"}], "some cells ran in parts, on several machines"),
        ({}, [ELSEWHERE | {"earlier_machines": ["b"]}], "cells ran where Slurm put them, on 1 machine"),
        ({}, [ELSEWHERE], "cells ran where Slurm put them, on 1 machine"),
        ({}, [ELSEWHERE, ELSEWHERE | {"node": "b"}], "cells ran where Slurm put them, on 2 machines"),
        (
            {"jobs": 2},
            [{}, ELSEWHERE, {"launcher": "ray", "node": "b"}],
            "some cells ran where Slurm and Ray put them, on 2 machines",
        ),
    ],
)
def test_sharing(record: dict[str, Any], rows: list[dict[str, Any]], said: str | None) -> None:
    cells = [make_cell(seed=seed, **row) for seed, row in enumerate(rows)]
    assert sharing(make_run(cells, **record), cells) == said
