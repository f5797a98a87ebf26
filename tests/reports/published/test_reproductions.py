"""Other people's figures stand beside an entry of the paper's table 1."""

from reports.published.paper import published, reproductions


def test_each_reproduction_has_a_figure_of_the_paper_beside_it() -> None:
    rows = {row.method: row for row in published().accuracy}
    for each in reproductions():
        assert each.percent.keys() <= rows[each.method].percent[each.embedding].keys()
        assert each.spread.keys() <= each.percent.keys()


def test_the_best_known_figures_are_as_published() -> None:
    found = {(each.by, each.method): each for each in reproductions()}
    ours = found["DanielHalachev/NoProp", "noprop"]
    assert (ours.percent["mnist"], ours.spread["mnist"]) == (99.44, 0.08)
    assert (ours.percent["cifar10"], ours.spread["cifar10"]) == (80.30, 0.60)
