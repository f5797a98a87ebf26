"""What every registered method promises the harness, whoever wrote it. Collected by pytest for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import methods
from bench.contract import CHECKS, small
from bench.planning.method_spec import parse_methods
from methods.networks.mlp import MLPS

WITH_MLP = [name for name, cls in methods.available().items() if "network" in cls.Options.parse({}).as_dict()]


@pytest.fixture(params=[*sorted(methods.available()), *(f"{name}[network=mlp]" for name in WITH_MLP)])
def name(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    for rule, spec in MLPS.items():  # wide layers take too long on every test
        monkeypatch.setitem(MLPS, rule, replace(spec, widths=(64,) * len(spec.widths)))
    return str(request.param)


@pytest.mark.parametrize("check", CHECKS.values(), ids=[title.replace(" ", "-") for title in CHECKS])
def test_contract(name: str, check: Callable[[str], None]) -> None:
    check(name)


def test_what_a_result_file_holds_as_options_builds_the_same_method_again(name: str) -> None:
    (spec,) = parse_methods(name, {})
    as_text = {key: "none" if value is None else str(value) for key, value in spec.options.items()}
    assert spec.cls.Options.parse(as_text).as_dict() == spec.options


def test_counts_parameters(name: str) -> None:
    method = small(name)
    assert method.parameter_count == sum(p.numel() for p in method.parameters() if p.requires_grad)
