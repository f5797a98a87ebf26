"""Ratios of costs: the spread is the machine's, and cells that it disturbed do not count."""

import math

import numpy as np
import pytest
from scipy import stats

from reports.statistics.costs import Prior, cost_changes, cost_effects
from reports.statistics.effect import Verdict

MARGIN = math.log(1.05)
Costs = dict[str, dict[int, float]]


def drawn(methods: int, seeds: int, sd: float = 0.1, key: int = 0) -> Costs:
    logs = sd * np.random.default_rng(key).normal(size=(methods, seeds))
    return {f"m{k}": {s: float(np.exp(value)) for s, value in enumerate(row)} for k, row in enumerate(logs)}


def test_the_spread_is_the_residual_of_methods_and_seeds() -> None:
    costs = drawn(5, 4)
    logs = np.log([[costs[m][s] for s in range(4)] for m in costs])
    residual = logs - logs.mean(0) - logs.mean(1, keepdims=True) + logs.mean()
    found = cost_effects(costs, "m0")
    assert found.df == 4 * 3
    assert found.sd == pytest.approx(math.sqrt((residual**2).sum() / 12))
    effect = found.effects["m1"]
    assert effect.value == pytest.approx(logs[1].mean() - logs[0].mean())
    assert effect.alone is not None
    assert found.sd is not None
    assert effect.alone.high - effect.value == pytest.approx(stats.t.ppf(0.975, 12) * found.sd * math.sqrt(2 / 4))


def test_a_seed_that_was_slow_for_all_changes_nothing() -> None:
    costs = drawn(4, 3)
    slow = {
        method: {seed: cost * (7 if seed == 1 else 1) for seed, cost in row.items()} for method, row in costs.items()
    }
    before, after = (cost_effects(each, "m0").effects["m2"] for each in (costs, slow))
    assert after.value == pytest.approx(before.value)
    assert after.alone is not None
    assert before.alone is not None
    assert after.alone.low == pytest.approx(before.alone.low)


def test_a_cell_that_a_neighbour_slowed_does_not_count_and_is_named() -> None:
    costs = drawn(8, 3, key=1)
    clean = cost_effects(costs, "m0").effects["m3"]
    costs["m3"][2] *= 5
    found = cost_effects(costs, "m0")
    assert found.left_out == (("m3", 2),)
    assert abs(found.effects["m3"].value - clean.value) < 0.15


def test_cells_that_the_monitor_names_do_not_count() -> None:
    costs = drawn(3, 3, sd=0.01, key=2)
    costs["m1"][0] *= 1.2
    found = cost_effects(costs, "m0", disturbed={("m1", 0)})
    assert found.left_out == (("m1", 0),)
    assert abs(found.effects["m1"].value) < 0.05


def test_a_method_of_which_all_cells_were_disturbed_keeps_them() -> None:
    costs = drawn(3, 2, key=3)
    found = cost_effects(costs, "m0", disturbed={("m1", 0), ("m1", 1)})
    assert found.effects["m1"].seeds == 2


def test_one_seed_gives_a_ratio_and_no_verdict_unless_a_calibration_knows_the_spread() -> None:
    costs: Costs = {"r": {0: 10.0}, "a": {0: 20.0}}
    alone = cost_effects(costs, "r").effects["a"]
    assert alone.value == pytest.approx(math.log(2))
    assert alone.verdict(MARGIN, higher_is_better=False) is Verdict.UNDECIDED
    known = cost_effects(costs, "r", prior=Prior(sd=0.05, df=10)).effects["a"]
    assert known.verdict(MARGIN, higher_is_better=False) is Verdict.WORSE


def test_a_figure_that_does_not_vary_is_decided() -> None:
    costs: Costs = {
        "r": dict.fromkeys(range(3), 10.0),
        "a": dict.fromkeys(range(3), 10.2),
        "b": dict.fromkeys(range(3), 5.0),
    }
    effects = cost_effects(costs, "r").effects
    assert effects["a"].verdict(MARGIN, higher_is_better=False) is Verdict.EQUIVALENT
    assert effects["b"].verdict(MARGIN, higher_is_better=False) is Verdict.BETTER


def test_a_change_is_a_method_s_own_mean_with_the_noise_of_all() -> None:
    ratios = drawn(4, 3)
    logs = np.log([[ratios[m][s] for s in range(3)] for m in ratios])
    pooled = math.sqrt(logs.var(axis=1, ddof=1).mean())
    found = cost_changes(ratios)
    assert found.df == 4 * 2
    assert found.sd == pytest.approx(pooled / math.sqrt(2))
    effect = found.effects["m1"]
    assert effect.value == pytest.approx(logs[1].mean())
    assert effect.alone is not None
    assert effect.alone.high - effect.value == pytest.approx(stats.t.ppf(0.975, 8) * pooled / math.sqrt(3))


def test_a_change_that_all_methods_share_is_theirs() -> None:
    slower = {m: {s: 1.3 * ratio for s, ratio in row.items()} for m, row in drawn(4, 3).items()}
    before, after = (cost_changes(each).effects["m2"] for each in (drawn(4, 3), slower))
    assert after.value == pytest.approx(before.value + math.log(1.3))


def test_a_rise_on_which_the_seeds_do_not_agree_is_none() -> None:
    one, all_three = (
        {"slow": {seed: math.exp(value) for seed, value in enumerate(logs)}, **drawn(12, 3)}
        for logs in ([0.09, 0.09, 0.47], [0.22, 0.22, 0.22])
    )
    effects = [cost_changes(each).effects["slow"] for each in (one, all_three)]
    assert all(effect.family is not None and effect.family.low > 0 for effect in effects)
    assert [effect.rises_past(math.log(1.1)) for effect in effects] == [False, True]


def test_a_disturbed_cell_does_not_hide_in_the_noise_that_it_widens() -> None:
    """With two seeds it makes a sixth of the degrees of freedom of six methods, and stands out from no residual."""
    one, both = (
        {"slow": {seed: math.exp(value) for seed, value in enumerate(logs)}, **drawn(5, 2)}
        for logs in ([0.2, 0.7], [0.4, 0.5])
    )
    effects = [cost_changes(each) for each in (one, both)]
    assert effects[0].left_out == ()
    assert [each.effects["slow"].rises_past(math.log(1.1)) for each in effects] == [False, True]


def test_two_seeds_cannot_tell_which_was_disturbed_and_widen_the_family_s_interval() -> None:
    def widths(seeds: int) -> list[float]:
        effect = cost_effects(drawn(15, seeds), "m0").effects["m1"]
        assert effect.alone is not None
        assert effect.family is not None
        return [each.high - each.low for each in (effect.alone, effect.family)]

    (alone, family), (alone3, family3) = widths(2), widths(3)
    assert family / alone > 1.1 * family3 / alone3
