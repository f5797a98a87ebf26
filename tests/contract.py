"""What every registered method promises the harness, whoever wrote it. Collected by pytest for all of them."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from torch import Generator
from torch.optim import Adam, Optimizer

import methods
from bench.planning.method_spec import parse_methods
from methods.core.method import TaskShape
from tests.methods.helpers import SHAPE, accuracy, batch, build, real_digits, same, snapshot, train

COLOUR = TaskShape(channels=3, height=16, width=12, num_classes=4)
METHODS = sorted(methods.available())


def small(name: str, seed: int = 0, shape: TaskShape = SHAPE):  # type: ignore[no-untyped-def]
    """The method, with two blocks where it has blocks and a coarse solver where it has one."""
    known = methods.get(name).Options.parse({}).as_dict()
    return build(name, seed, shape, **{key: value for key, value in {"T": 2, "steps": 5}.items() if key in known})


def adam_without_decay(parameters: Iterable[Any]) -> Optimizer:
    """Moves a parameter if its gradient has not been zero, however small it was."""
    return Adam(parameters, lr=1e-3, eps=1e-30)


@pytest.fixture(params=METHODS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_says_what_it_is(name: str) -> None:
    cls = methods.get(name)
    assert cls.name == name
    for text in (cls.summary, cls.epoch_definition, cls.credit):
        assert text.strip()
        assert "\n" not in text
    assert cls.__doc__


def test_options_survive_text(name: str) -> None:
    """What a result file holds as the effective options builds the same method again."""
    (spec,) = parse_methods(name, {})
    as_text = {key: "none" if value is None else str(value) for key, value in spec.options.items()}
    assert methods.get(name).Options.parse(as_text).as_dict() == spec.options


def test_what_a_search_varies_are_its_options_and_their_ends_are_accepted(name: str) -> None:
    cls = methods.get(name)
    defaults = cls.Options.parse({}).as_dict()
    for option, searched in cls.search_space.items():
        assert searched.low <= defaults[option] <= searched.high
        for end in (searched.low, searched.high):
            assert cls.Options.parse({option: end}).as_dict()[option] == end


def test_refuses_an_unknown_option(name: str) -> None:
    with pytest.raises(methods.MethodError, match="'no_such_option'"):
        methods.get(name).Options.parse({"no_such_option": "1"})


@pytest.mark.parametrize("shape", [SHAPE, COLOUR], ids=["grey", "colour"])
def test_step_and_prediction(name: str, shape: TaskShape) -> None:
    method = small(name, shape=shape)
    x, y = batch(16, shape)
    method.train()
    loss = method.train_step(x, y)
    assert loss.shape == ()
    assert bool(loss.isfinite())
    assert not loss.requires_grad
    method.eval()
    logits = method.predict(x, Generator().manual_seed(0))
    assert logits.shape == (16, shape.num_classes)
    assert bool(logits.isfinite().all())
    assert not logits.requires_grad


def test_prediction_is_given_no_label(name: str) -> None:
    assert list(inspect.signature(methods.get(name).predict).parameters) == ["self", "x", "generator"]


def test_prediction_leaves_model_and_global_randomness_alone(name: str) -> None:
    method = small(name)
    method.eval()
    x, _ = batch(8)
    before, state = snapshot(method), torch.get_rng_state()
    first = method.predict(x, Generator().manual_seed(3))
    assert same(before, method)
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, method.predict(x, Generator().manual_seed(3)))


def test_same_seed_same_result(name: str) -> None:
    runs = []
    for _ in range(2):
        method = small(name, seed=5)
        torch.manual_seed(5)
        losses = [float(method.train_step(*batch(16, seed=step))) for step in range(3)]
        runs.append((losses, snapshot(method)))
    assert runs[0][0] == runs[1][0]
    assert all(torch.equal(runs[0][1][key], runs[1][1][key]) for key in runs[0][1])


def test_other_seed_other_start(name: str) -> None:
    assert not same(snapshot(small(name, seed=1)), small(name, seed=2))


def test_optimizers_hold_every_parameter_once(name: str) -> None:
    method = small(name)
    held = [id(p) for optimizer in method.optimizers() for group in optimizer.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in method.parameters())


def test_a_step_trains_every_parameter_and_leaves_no_gradient(name: str) -> None:
    method = small(name)
    method.set_up(adam_without_decay)  # with decay, a parameter moves without a gradient too
    before = {key: value.clone() for key, value in method.named_parameters()}
    for step in range(2):  # in the first one, a parameter may sit where its gradient is zero
        method.train_step(*batch(32, seed=step))
    assert [key for key, value in method.named_parameters() if torch.equal(before[key], value)] == []
    assert [key for key, value in method.named_parameters() if value.grad is not None] == []


def test_state_dict_carries_the_whole_model(name: str) -> None:
    trained, other = small(name, seed=1), small(name, seed=2)
    trained.train_step(*batch(32))
    other.load_state_dict(trained.state_dict())
    trained.eval()
    other.eval()
    x, _ = batch(8)
    assert torch.equal(trained.predict(x, Generator().manual_seed(0)), other.predict(x, Generator().manual_seed(0)))


def test_counts_parameters(name: str) -> None:
    method = small(name)
    assert method.parameter_count == sum(p.numel() for p in method.parameters() if p.requires_grad)
    assert 0 < method.stack_parameter_count <= method.parameter_count, "stack() names some of the trained modules"


def test_learns_real_digits(name: str) -> None:
    """Slow methods get more epochs, and every method gets to where nothing but learning can bring it."""
    x_train, y_train, x_test, y_test = real_digits()
    method = small(name)
    before = accuracy(method, x_test, y_test)
    for _ in range(12):
        train(method, x_train, y_train, epochs=8)
        reached = accuracy(method, x_test, y_test)
        if reached > max(0.7, before + 0.5):
            return
    pytest.fail(f"{reached:.1%} after 96 epochs, {before:.1%} before")
