"""What the rules' sources reached with their own networks, beside ours with the same."""

from __future__ import annotations

from typing import Any

import methods
from methods.networks.mlp import MLPS
from reports.published.paper import source_figures
from reports.sections import rules
from reports.view import arrange
from results.schema import CellResult
from tests.factories import make_cell, make_config, make_run
from tests.reports.test_tables import column


def cell(method: str, accuracy: float, dataset: str = "mnist", **options: Any) -> CellResult:
    return make_cell(method, dataset, config=make_config(epochs=20, options=options), test_accuracy=accuracy)


def section(*cells: CellResult, unfinished: tuple[CellResult, ...] = ()) -> str:
    run = arrange(make_run([*cells, *unfinished]), cells)
    return (rules.section(run, run.datasets[0]) or "").partition("\n\n")[2]


def test_ours_stands_beside_the_source_s() -> None:
    text = section(cell("local-loss", 0.99, network="mlp"), cell("dfa", 0.98, network="mlp"))
    assert column(text, "dfa", "the source's, %") == "98.55"
    assert column(text, "dfa", "difference, points") == "−0.55"
    assert column(text, "local-loss", "difference, points") == "−0.38"
    assert column(text, "local-loss", "the source's epochs") == "100"


def test_a_method_that_has_not_finished_has_no_row() -> None:
    text = section(cell("dfa", 0.98, network="mlp"), unfinished=(cell("local-loss", 0.99, network="mlp"),))
    assert "`dfa`" in text
    assert "local-loss" not in text


def test_backpropagation_stands_beside_the_source_s_own_where_that_is_known() -> None:
    text = section(cell("backprop-plain", 0.99, network="mlp", mlp_of="local-loss"))
    assert column(text, "backprop-plain", "the source's, %") == "99.25"
    text = section(cell("backprop-plain", 0.99, network="mlp", mlp_of="dfa"))
    assert column(text, "backprop-plain", "the source's, %") == "–"


def test_other_networks_and_other_data_have_no_such_figure() -> None:
    assert not section(cell("dfa", 0.98, network="cnn"))
    assert not section(cell("dfa", 0.98, dataset="digits", network="mlp"))
    assert not section(cell("noprop", 0.98))


def test_every_rule_with_a_network_of_its_source_has_a_figure() -> None:
    assert {figure.method for figure in source_figures()} == set(MLPS) <= set(methods.available())
