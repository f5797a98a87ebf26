"""Mixed precision: in the forward passes of every method, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import methods
from bench.training.build import use_mixed_precision
from methods.core.method import Method
from tests.methods.helpers import accuracy, batch, build, plain_sgd, real_digits, train

CPU = torch.device("cpu")


def small(name: str, *, amp: bool) -> Method:
    known = methods.get(name).Options.parse({}).as_dict()
    options = {key: value for key, value in {"T": 2, "steps": 4}.items() if key in known}
    method = build(name, make_optimizer=plain_sgd, **options)
    assert isinstance(method, Method)
    if amp:
        use_mixed_precision(method, CPU)
    return method


def convolutions(method: Method) -> Iterator[nn.Conv2d]:
    return (module for module in method.modules() if isinstance(module, nn.Conv2d))


def watched(method: Method) -> tuple[set[torch.dtype], set[bool]]:
    """What the convolutions give, and whether autocast is on when their weights' gradients come, from now on."""
    computed: set[torch.dtype] = set()
    backward: set[bool] = set()
    for convolution in convolutions(method):
        convolution.register_forward_hook(lambda module, given, result: computed.add(result.dtype))
        convolution.weight.register_hook(lambda gradient: backward.add(torch.is_autocast_enabled("cpu")))
    return computed, backward


@pytest.mark.parametrize("name", sorted(methods.available()))
def test_forward_in_bfloat16_all_else_in_float32(name: str) -> None:
    x, y = batch(64)
    losses = {}
    for amp in (False, True):
        method = small(name, amp=amp)
        computed, backward = watched(method)
        method.train()
        torch.manual_seed(0)
        loss = method.train_step(x, y)
        assert loss.dtype == torch.float32
        losses[amp] = float(loss)
        if amp:
            assert torch.bfloat16 in computed
        else:
            assert computed == {torch.float32}
        assert backward == {False}
        assert {p.dtype for p in method.parameters()} == {torch.float32}
        assert all(bool(p.isfinite().all()) for p in method.parameters())
        logits = method.eval().predict(x, Generator().manual_seed(0))
        assert bool(logits.isfinite().all())
        if amp:
            assert not torch.is_autocast_enabled("cpu")
    assert losses[True] != losses[False]
    assert losses[True] == pytest.approx(losses[False], rel=0.05)


class Convolutions(TorchDispatchMode):
    """Notes the type of what convolutions are given, under whatever they are called."""

    def __init__(self) -> None:
        super().__init__()
        self.dtypes: set[torch.dtype] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if "conv" in str(func) and "backward" not in str(func):
            self.dtypes |= {argument.dtype for argument in args if isinstance(argument, Tensor)}
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("execution", ["in_turn", "together", "low_memory"])
def test_every_way_convolves_in_it(execution: str) -> None:
    method = build("noprop", T=2, execution=execution)
    use_mixed_precision(method, CPU)
    method.train()
    with Convolutions() as seen:
        method.train_step(*batch(8))
    assert seen.dtypes == {torch.bfloat16}


@pytest.mark.parametrize("options", [{"execution": "in_turn"}, {"execution": "together"}], ids=str)
def test_noprop_learns_digits_in_it(options: dict[str, str]) -> None:
    x, y, _, _ = real_digits()
    method = build("noprop", T=1, sampler="mean", **options)
    use_mixed_precision(method, CPU)
    train(method, x[:256], y[:256], epochs=8)
    assert accuracy(method, x[:256], y[:256]) > 0.5


def test_both_passes_see_one_result() -> None:
    """The gradient of what was computed: a weight's cast is part of the graph, and its gradient is float32."""
    method = small("backprop-plain", amp=True)
    seen: list[Tensor] = []
    weight = next(convolutions(method)).weight
    weight.register_hook(lambda gradient: seen.append(gradient))
    method.train()
    method.train_step(*batch(16))
    assert [gradient.dtype for gradient in seen] == [torch.float32]
    assert float(seen[0].abs().sum()) > 0
