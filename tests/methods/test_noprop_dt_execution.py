"""Ways to carry out NoProp's training: what is learned is the same, what is held at once is not."""

from __future__ import annotations

import gc
import itertools
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import pytest
import torch
from torch import Generator, Tensor, nn
from torch.optim import SGD, AdamW

import methods
from bench.meters.activations import ActivationMeter
from bench.meters.flops import FlopMeter
from methods.networks.schedule import DiscreteSchedule
from methods.noprop_dt import NoPropDT
from tests.methods.helpers import SHAPE, accuracy, batch, build, plain_sgd, real_digits, same, snapshot, train

EVERY_OPTION = [
    {"embedding": embedding, "decoder": decoder, "classifier_input": classified}
    for embedding, decoder, classified in itertools.product(
        ("onehot", "learned", "prototype"), ("none", "tanh", "relu"), ("sample", "output")
    )
]


class Keeps(SGD):
    """Changes nothing, and keeps the gradients."""

    def zero_grad(self, set_to_none: bool = True) -> None: ...


@pytest.fixture
def same_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noised labels that depend on the noise level alone, whenever they are drawn."""

    def sample(self: DiscreteSchedule, t: int, u: Tensor) -> Tensor:
        noise = torch.randn(u.shape, generator=Generator().manual_seed(t), dtype=u.dtype)
        return self.alpha_bar[t] ** 0.5 * u + (1 - self.alpha_bar[t]) ** 0.5 * noise

    monkeypatch.setattr(DiscreteSchedule, "sample", sample)


def exact(execution: str, make_optimizer: Callable[..., Any], **options: object) -> NoPropDT:
    """In double precision and without dropout, so that executions can be held against each other."""
    torch.manual_seed(0)
    cls = methods.get("noprop")
    method = cls(SHAPE, cls.Options.parse({"T": 3, "execution": execution, **options})).double()
    for module in method.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    method.set_up(make_optimizer)
    assert isinstance(method, NoPropDT)
    return method


def double_batch() -> tuple[Tensor, Tensor]:
    x, y = batch(16)
    return x.double().contiguous(memory_format=torch.channels_last), y


@pytest.mark.usefixtures("same_noise")
@pytest.mark.parametrize("options", EVERY_OPTION, ids=lambda options: "-".join(options.values()))
def test_together_has_the_loop_s_gradients(options: dict[str, str]) -> None:
    loop, batched = (
        exact(way, lambda parameters: Keeps(parameters, lr=0.0), **options) for way in ("in_turn", "together")
    )
    losses = [method.train_step(*double_batch()) for method in (loop, batched)]
    torch.testing.assert_close(*losses, rtol=1e-10, atol=0)
    stacked = batched._batched._parameters
    assert set(stacked) == {name for name, _ in loop.net.blocks[0].named_parameters()}
    for number, block in enumerate(loop.net.blocks):
        largest = max(float(parameter.grad.norm()) for parameter in block.parameters())
        assert largest > 0
        for name, parameter in block.named_parameters():
            difference = float((stacked[name].grad[number] - parameter.grad).norm())
            # Some gradients are zero but for rounding: those of a bias that a batch norm takes out again.
            rounding = 1e-14 * largest
            assert difference <= 1e-5 * float(parameter.grad.norm()) + rounding, f"block {number + 1}, {name}"
    for shared in ("head", "embedding"):
        for (name, ours), theirs in zip(
            getattr(loop.net, shared).named_parameters(), getattr(batched.net, shared).parameters(), strict=True
        ):
            torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-8, atol=1e-12, msg=f"{shared} {name}")


@pytest.mark.usefixtures("same_noise")
def test_together_learns_what_the_loop_learns() -> None:
    """Parameters and running statistics after steps of AdamW, and what is predicted from them."""

    def trained(execution: str) -> NoPropDT:
        method = exact(execution, lambda parameters: AdamW(parameters, lr=1e-2, weight_decay=0.1))
        before = snapshot(method)
        method.train()
        for _ in range(4):
            method.train_step(*double_batch())
        assert not same(before, method)
        return method

    loop, batched = trained("in_turn"), trained("together")
    ours, theirs = loop.state_dict(), batched.state_dict()
    assert list(ours) == list(theirs)
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=1e-6, atol=1e-7, msg=name)
        assert theirs[name].stride() == value.stride(), name
    x = batch(16)[0]
    probabilities = [
        method.float().eval().predict(x, Generator().manual_seed(1)).softmax(1) for method in (loop, batched)
    ]
    torch.testing.assert_close(*probabilities, rtol=1e-5, atol=1e-6)


def test_together_learns_digits_and_each_block_has_its_own_dropout() -> None:
    x, y, x_test, y_test = real_digits()
    method = build("noprop", T=2, execution="together", sampler="mean")
    train(method, x, y, epochs=6)
    assert accuracy(method, x_test, y_test) > 0.8

    blocks = build("noprop", T=2, execution="together", make_optimizer=plain_sgd)
    blocks.net.blocks[1].load_state_dict(blocks.net.blocks[0].state_dict())
    x, y = batch(16)
    z = blocks.schedule.sample(0, blocks.net.embedding(y)).expand(2, -1, -1)
    first, second = blocks.train()._batched(x, z, blocks.net.embedding.weight)
    assert not torch.allclose(first, second)
    blocks.net.blocks[1].load_state_dict(blocks.net.blocks[0].state_dict())
    first, second = blocks.eval()._batched(x, z, blocks.net.embedding.weight)
    torch.testing.assert_close(first, second)


def epoch(method: NoPropDT, x: Tensor, y: Tensor, size: int = 16) -> float:
    """One epoch as the harness goes through it; the mean loss."""
    total = 0.0
    method.train()
    for number in range(method.num_passes):
        method.start_pass(number)
        for images, labels in zip(x.split(size), y.split(size), strict=True):
            total += float(method.train_step(images, labels)) * len(labels)
    return total / len(y)


def test_block_after_block_gives_the_same_numbers() -> None:
    """To the bit, with dropout and noise: parameters, running statistics, predictions, diagnosis; and it can be saved,
    loaded, and trained on."""
    x, y = batch(48)

    def trained(execution: str) -> tuple[NoPropDT, list[float]]:
        method = build("noprop", T=3, execution=execution)
        torch.manual_seed(3)
        return method, [epoch(method, x, y) for _ in range(2)]

    (loop, losses), (low, low_losses) = trained("in_turn"), trained("low_memory")
    assert low_losses == pytest.approx(losses, rel=1e-5)
    assert [p.shape for p in low.parameters()] == [p.shape for p in loop.parameters()]
    predicted = [method.eval().predict(x, Generator().manual_seed(0)) for method in (loop, low)]
    assert torch.equal(*predicted)
    found = [method.diagnose([(x, y)], Generator().manual_seed(0)) for method in (loop, low)]
    assert found[0] == found[1]
    assert same(snapshot(loop), low)
    for name, value in loop.state_dict().items():
        assert low.state_dict()[name].stride() == value.stride(), name

    fresh = build("noprop", seed=1, T=3, execution="low_memory")
    fresh.load_state_dict(loop.state_dict())
    assert torch.equal(fresh.eval().predict(x, Generator().manual_seed(0)), predicted[0])
    assert epoch(low, x, y) == pytest.approx(epoch(loop, x, y), rel=1e-5)
    assert same(snapshot(loop), low)


def in_memory(tensors: Iterator[Tensor]) -> int:
    """Bytes of the memory that tensors have, each piece once."""
    return sum({t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in tensors}.values())


def test_block_after_block_holds_one_block_and_its_optimiser() -> None:
    method, plain = build("noprop", T=4, execution="low_memory"), build("noprop", T=4)
    block = in_memory(p for p in itertools.chain(plain.net.blocks[0].parameters(), plain.net.blocks[0].buffers()))
    shared = in_memory(plain.net.head.parameters())
    placeholders = 64 * sum(1 for _ in method.parameters())
    assert in_memory(plain.net.blocks.parameters()) > 3.9 * block
    seen: list[tuple[int, int]] = []
    forward = type(method.net.blocks[0]).denoise

    def look(*arguments: Any) -> Tensor:
        states = (v for o in method.optimizers() for s in o.state.values() for v in s.values())
        seen.append((in_memory(itertools.chain(method.net.parameters(), method.net.buffers())), in_memory(states)))
        return forward(*arguments)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(method.net.blocks[0]), "denoise", look)
        for _ in range(2):
            epoch(method, *batch(32))
            method.eval().predict(batch(8)[0], Generator())
    assert len(seen) == 2 * (4 * 2 + 4)
    parameters, states = zip(*seen, strict=True)
    assert max(parameters) < block + shared + 100 * SHAPE.num_classes + placeholders
    assert block < max(states) < 2 * (block + shared) + placeholders


def test_block_after_block_opens_a_file_for_each_part_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[IO[bytes]] = []
    temporary = tempfile.TemporaryFile

    def opening() -> IO[bytes]:
        opened.append(temporary())
        return opened[-1]

    monkeypatch.setattr(tempfile, "TemporaryFile", opening)
    method = build("noprop", T=2, execution="low_memory")
    for _ in range(2):
        epoch(method, *batch(32))
    assert len(opened) == 2 * 2  # of a block and of its optimiser
    assert not any(file.closed for file in opened)
    del method
    gc.collect()
    assert all(file.closed for file in opened)


@pytest.mark.parametrize("execution", ["in_turn", "low_memory"])
def test_activations_are_those_of_one_block(execution: str) -> None:
    held = []
    for T in (1, 4):
        method = build("noprop", T=T, execution=execution)
        method.train()
        with ActivationMeter(method.parameters(), method.buffers()) as meter:
            method.train_step(*batch())
        held.append(meter.peak_bytes)
    assert held[0] == held[1]


def test_together_holds_the_activations_of_all_blocks() -> None:
    held = {}
    for execution in ("in_turn", "together"):
        method = build("noprop", T=4, execution=execution)
        method.train()
        with ActivationMeter(method.parameters(), method.buffers()) as meter:
            method.train_step(*batch())
        held[execution] = meter.peak_bytes
    assert held["together"] > 3 * held["in_turn"]


def test_all_ways_have_the_same_operations() -> None:
    counted = {}
    for execution in ("in_turn", "concurrent", "together", "low_memory"):
        method = build("noprop", T=3, execution=execution)
        method.train()
        with FlopMeter() as meter:
            method.train_step(*batch())
        counted[execution] = meter.flops
    assert len(set(counted.values())) == 1
    assert counted["in_turn"] > 0


def test_the_default_is_by_device() -> None:
    assert build("noprop")._choose_execution(torch.device("cuda", 0)) == "together"
    assert build("noprop-attached").execution is None


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"execution": "at_once"}, "'at_once'"),
        ({"execution": "low_memory", "embedding": "learned"}, "embedding=onehot"),
        ({"execution": "low_memory", "classifier_input": "output"}, "classifier_input=sample"),
    ],
    ids=str,
)
def test_refused(options: dict[str, str], named: str) -> None:
    with pytest.raises(methods.MethodError, match=named):
        build("noprop", **options)


def test_together_can_be_divided_among_processes() -> None:
    x, y = batch(16)
    parts = [build("noprop", T=3, execution="together") for _ in range(2)]
    for rank, method in enumerate(parts):
        before = [snapshot(block) for block in method.net.blocks]
        division = method.divide(2, rank)
        method.train()
        method.train_step(x, y)
        moved = [not same(old, block) for old, block in zip(before, method.net.blocks, strict=True)]
        assert moved == [block in division[rank] for block in method.net.blocks]
    with pytest.raises(methods.MethodError, match="execution=low_memory"):
        build("noprop", execution="low_memory").divide(2, 0)
