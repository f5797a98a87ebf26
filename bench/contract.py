"""What every method promises the harness, whoever wrote it, as checks that say in plain words what is missing.

    import pytest
    from bench.contract import CHECKS

    @pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
    def test_my_method(check):
        check("my-method")

Each check takes the name of a registered method, with options in brackets if need be, and raises `AssertionError`, or
what the method itself raises.
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.optim import Adam, AdamW, Optimizer

import methods
from methods.core import torch_settings
from methods.core.method import MakeOptimizer, Method, TaskShape
from methods.core.options import parse_assignments, split_brackets

GREY = TaskShape(channels=1, height=8, width=8, num_classes=10)
COLOUR = TaskShape(channels=3, height=16, width=12, num_classes=4)
_SMALL = {"T": 2, "steps": 5}
"""Two blocks where a method has blocks, and a coarse solver where it has one."""
_EPOCHS, _ROUNDS = 2, 48


def named(name: str) -> tuple[type[Method], dict[str, str]]:
    """The method and the options of `NAME[OPTION=VALUE,...]`.

    Raises:
        MethodError: there is no such method, or it does not accept such options.
    """
    plain, items = split_brackets(name)
    cls = methods.get(plain)
    given = parse_assignments(items, "expected OPTION=VALUE, not {item!r}", "option {name!r} is given twice")
    cls.Options.parse(given)
    return cls, given


def small(
    name: str,
    seed: int = 0,
    shape: TaskShape = GREY,
    make_optimizer: MakeOptimizer | None = None,
    options: Mapping[str, object] | None = None,
) -> Method:
    """The method at its defaults but for its size and the options given, set up, from a seed."""
    cls, given = named(name)
    known = cls.Options.parse({}).as_dict()
    torch.manual_seed(seed)
    sizes = {key: value for key, value in _SMALL.items() if key in known}
    method = cls(shape, cls.Options.parse(sizes | given | dict(options or {})))
    method.set_up(make_optimizer or adamw)
    return method


def says_what_it_is(name: str) -> None:
    """The class has a docstring, and a summary, an epoch definition and a credit assignment of one line each."""
    cls, _ = named(name)
    assert cls.__doc__, "the class has no docstring"
    for field in ("summary", "epoch_definition", "credit"):
        text = getattr(cls, field, "")
        assert text.strip(), f"the class has no {field}: give it one line of text"
        assert "\n" not in text, f"{field} has several lines: give it one"


def options_survive_text(name: str) -> None:
    """Options written as text are read back the same; unknown ones are refused."""
    cls, given = named(name)
    options = cls.Options.parse(given).as_dict()
    as_text = {key: "none" if value is None else str(value) for key, value in options.items()}
    assert cls.Options.parse(as_text).as_dict() == options, "an option changes when it is written as text and read back"
    try:
        cls.Options.parse(given | {"no_such_option": "1"})
    except methods.MethodError:
        pass
    else:
        raise AssertionError("an unknown option is accepted")
    for option, searched in cls.search_space.items():
        for end in (searched.low, searched.high):
            cls.Options.parse(given | {option: end})
        assert searched.low <= options[option] <= searched.high, f"search_space: the default of {option} is outside it"


def leaves_the_process_as_it_was(name: str) -> None:
    """Building, training and predicting change no setting of PyTorch for the whole process, and leave no thread."""
    settings, threads = torch_settings.read(), set(threading.enumerate())
    try:
        method = small(name)
        method.train_step(*batch(16))
        method.eval().predict(batch(16)[0], Generator().manual_seed(0))
    finally:
        changed = torch_settings.restore(settings)
    assert not changed, f"it changes PyTorch for the whole process: {changed}"
    left = [thread.name for thread in threading.enumerate() if thread not in threads and not thread.daemon]
    assert not left, f"it leaves a thread running ({', '.join(left)}): end it, or make it a daemon"


def trains_and_predicts(name: str) -> None:
    """A step gives a finite loss, a prediction finite logits, in grey and in colour; both keep what they are given."""
    for shape in (GREY, COLOUR):
        method = small(name, shape=shape)
        x, y = batch(16, shape)
        given = x.clone(), y.clone()
        method.train()
        loss = method.train_step(x, y)
        assert loss.shape == (), f"train_step returns shape {tuple(loss.shape)}; expected a scalar"
        assert bool(loss.isfinite()), "train_step returns a loss that is not finite"
        assert not loss.requires_grad, "train_step returns a loss with a graph: detach it"
        method.eval()
        logits = method.predict(x, Generator().manual_seed(0))
        expected = (16, shape.num_classes)
        assert logits.shape == expected, f"predict returns shape {tuple(logits.shape)}; expected {expected}"
        assert bool(logits.isfinite().all()), "predict returns logits that are not finite"
        assert not logits.requires_grad, "predict returns logits with a graph: use torch.no_grad()"
        kept = torch.equal(x, given[0]) and torch.equal(y, given[1])
        assert kept, "train_step or predict changes the images or labels that it is given: work on a copy"


def predicts_without_labels_and_side_effects(name: str) -> None:
    """Prediction is given no label, changes nothing, and draws from its generator alone."""
    parameters = list(inspect.signature(named(name)[0].predict).parameters)
    assert parameters == ["self", "x", "generator"], f"predict takes {parameters}; expected self, x and generator"
    method = small(name)
    method.eval()
    x, _ = batch(8)
    before, state = snapshot(method), torch.get_rng_state()
    first = method.predict(x, Generator().manual_seed(3))
    assert same(before, method), "predict changes parameters or buffers"
    assert torch.equal(state, torch.get_rng_state()), "predict uses PyTorch's global random numbers, not its generator"
    again = method.predict(x, Generator().manual_seed(3))
    assert torch.equal(first, again), "predict gives another result for the same generator"


def depends_on_the_seed_alone(name: str) -> None:
    """The same seed gives the same losses and parameters to the bit, another seed others."""
    runs = []
    for _ in range(2):
        method = small(name, seed=5)
        torch.manual_seed(5)
        losses = [float(method.train_step(*batch(16, seed=step))) for step in range(3)]
        runs.append((losses, snapshot(method)))
    assert runs[0][0] == runs[1][0], "the same seed gives other losses"
    assert all(torch.equal(runs[0][1][key], runs[1][1][key]) for key in runs[0][1]), "the same seed, other parameters"
    assert not same(snapshot(small(name, seed=1)), small(name, seed=2)), "another seed, the same start"


def trains_alike_whatever_acts_at_inference_alone(name: str) -> None:
    """Options declared with INFERENCE_ONLY change no loss and no parameter."""

    def trained(options: dict[str, object]) -> tuple[list[float], Method]:
        method = small(name, seed=5, options=options)
        return [float(method.train_step(*batch(16, seed=step))) for step in range(2)], method

    cls, _ = named(name)
    losses, method = trained({})
    before = snapshot(method)
    for option in sorted(cls.Options.inference_only()):
        for value in cls.Options.values_of(option):
            other_losses, other = trained({option: value})
            alike = losses == other_losses and same(before, other)
            assert alike, f"{option}={value} trains another model: declare {option} without INFERENCE_ONLY"


def trains_every_parameter(name: str) -> None:
    """Optimisers have each trained parameter once, a step moves it, and no gradient is left."""
    method = small(name, make_optimizer=_adam_without_decay)  # with decay, one moves without a gradient too
    held = [id(p) for optimizer in method.optimizers() for group in optimizer.param_groups for p in group["params"]]
    assert len(set(held)) == len(held), "two optimisers have the same parameter"
    strangers = len(set(held) - {id(p) for p in method.parameters()})
    assert not strangers, f"optimizers() have {strangers} tensors that are no parameters of the method"
    trained = {key: value for key, value in method.named_parameters() if value.requires_grad}
    free = [key for key, value in trained.items() if id(value) not in held]
    fixed = "what stays fixed: requires_grad_(False), or register_buffer"
    assert not free, f"no optimiser has {', '.join(free)} ({fixed})"
    before = {key: value.clone() for key, value in trained.items()}
    for step in range(2):  # in the first one, a parameter may sit where its gradient is zero
        method.train_step(*batch(32, seed=step))
    unmoved = [key for key, value in trained.items() if torch.equal(before[key], value)]
    assert not unmoved, f"no step trains {', '.join(unmoved)} ({fixed})"
    left = [key for key, value in method.named_parameters() if value.grad is not None]
    assert not left, f"train_step leaves gradients in {', '.join(left)}: zero_grad() at its end"


def state_dict_has_the_whole_model(name: str) -> None:
    """A model that loads another's state predicts the same."""
    trained, other = small(name, seed=1), small(name, seed=2)
    trained.train_step(*batch(32))
    other.load_state_dict(trained.state_dict())
    trained.eval()
    other.eval()
    x, _ = batch(8)
    one, two = (each.predict(x, Generator().manual_seed(0)) for each in (trained, other))
    assert torch.equal(one, two), "something that predict needs is in no parameter or buffer"


def names_its_stack(name: str) -> None:
    """`stack()` names modules that are trained."""
    method = small(name)
    assert 0 < method.stack_parameter_count <= method.parameter_count, "stack() names no module that is trained"


def learns_digits(name: str) -> None:
    """It learns real digits; slow methods get more epochs."""
    x_train, y_train, x_test, y_test = real_digits()
    method = small(name)
    before = reached = accuracy(method, x_test, y_test)
    for _ in range(_ROUNDS):
        train(method, x_train, y_train, _EPOCHS)
        reached = accuracy(method, x_test, y_test)
        if reached > max(0.7, before + 0.5):
            return
    epochs = _EPOCHS * _ROUNDS
    raise AssertionError(f"it does not learn: {reached:.1%} of test digits after {epochs} epochs, {before:.1%} before")


CHECKS: dict[str, Callable[[str], None]] = {
    check.__name__.replace("_", " "): check
    for check in (
        says_what_it_is,
        options_survive_text,
        leaves_the_process_as_it_was,
        trains_and_predicts,
        predicts_without_labels_and_side_effects,
        depends_on_the_seed_alone,
        trains_alike_whatever_acts_at_inference_alone,
        trains_every_parameter,
        state_dict_has_the_whole_model,
        names_its_stack,
        learns_digits,
    )
}
"""By what they check, in the order in which to run them."""


def adamw(parameters: Any) -> Optimizer:
    """As in a run, by default."""
    return AdamW(parameters, lr=1e-3, weight_decay=1e-3)


def _adam_without_decay(parameters: Any) -> Optimizer:
    """Moves a parameter if its gradient has not been zero, however small it was."""
    return Adam(parameters, lr=1e-3, eps=1e-30)


def batch(size: int = 32, shape: TaskShape = GREY, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Random images and labels."""
    generator = Generator().manual_seed(seed)
    x = torch.randn(size, *shape.image, generator=generator)
    return x, torch.randint(shape.num_classes, (size,), generator=generator)


def real_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """x_train, y_train, x_test, y_test of scikit-learn's digits, normalised, 1,280 for training."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = torch.randperm(len(digits.target), generator=Generator().manual_seed(0))
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1)[order]
    y = torch.tensor(digits.target)[order]
    x = (x - x[:1280].mean()) / x[:1280].std()
    return x[:1280], y[:1280], x[1280:], y[1280:]


def train(method: Method, x: Tensor, y: Tensor, epochs: int, batch_size: int = 64) -> None:
    """Plain training in a seeded order."""
    generator = Generator().manual_seed(0)
    method.train()
    for _ in range(epochs):
        for index in torch.split(torch.randperm(len(y), generator=generator), batch_size):
            method.train_step(x[index], y[index])
    method.eval()


def accuracy(method: Method, x: Tensor, y: Tensor) -> float:
    """The fraction of images that it gets right."""
    method.eval()
    predicted = method.predict(x, Generator().manual_seed(0)).argmax(dim=1)
    return float((predicted == y).float().mean())


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """A copy of every parameter and buffer."""
    return {name: value.clone() for name, value in module.state_dict().items()}


def same(before: dict[str, Tensor], module: nn.Module) -> bool:
    """Whether nothing has changed, to the bit."""
    return all(torch.equal(before[name], value) for name, value in module.state_dict().items())
