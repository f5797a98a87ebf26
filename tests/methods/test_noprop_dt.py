"""NoProp in discrete time: what the public implementations get wrong, each with a test that would notice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor, nn

from methods.networks.rng import Streams
from methods.noprop_dt import NoPropDT
from tests.methods.helpers import SHAPE, accuracy, batch, build, plain_sgd, real_digits, same, snapshot, train

T = 5


@pytest.fixture(scope="module")
def trained() -> NoPropDT:
    """NoProp with default options but for T, trained on real digits."""
    x, y, _, _ = real_digits()
    method = build("noprop", T=T)
    train(method, x, y, epochs=12)
    assert isinstance(method, NoPropDT)
    return method


@pytest.mark.parametrize("t", range(1, 4))
@pytest.mark.parametrize("options", [{}, {"embedding": "learned"}, {"classifier_input": "output"}], ids=str)
def test_a_block_trains_alone(t: int, options: dict[str, str]) -> None:
    """After block t's step no other block has a gradient, or a parameter or buffer that changed."""
    method = build("noprop", T=3, make_optimizer=plain_sgd, **options)
    before = [snapshot(block) for block in method.net.blocks]
    method._streams.next_step()
    method.train_blocks([t], *batch())
    for number, block in enumerate(method.net.blocks, start=1):
        if number == t:
            assert [key for key, value in block.named_parameters() if torch.equal(before[t - 1][key], value)] == []
        else:
            assert same(before[number - 1], block)
            assert all(p.grad is None for p in block.parameters())


def test_no_gradient_crosses_blocks_where_the_control_lets_it() -> None:
    """Let only the last block's loss count: NoProp's first block then stays as it was, the attached one learns."""
    moved = {}
    for name in ("noprop", "noprop-attached"):
        method = build(name, T=3, make_optimizer=plain_sgd)
        method.schedule = replace(method.schedule, weight=(0.0, 0.0, 1.0))
        before = {key: value.clone() for key, value in method.net.blocks[0].named_parameters()}
        method.train_step(*batch())
        moved[name] = any(not torch.equal(before[key], p) for key, p in method.net.blocks[0].named_parameters())
    assert moved == {"noprop": False, "noprop-attached": True}


def test_shared_terms_reach_head_and_embedding_only() -> None:
    method = build("noprop", T=2, make_optimizer=plain_sgd, embedding="learned")
    blocks, shared = snapshot(method.net.blocks), [snapshot(method.net.head), snapshot(method.net.embedding)]
    method.train_shared(batch()[1])
    assert same(blocks, method.net.blocks)
    assert not same(shared[0], method.net.head)
    assert not same(shared[1], method.net.embedding)


def test_classifying_the_last_output_reaches_the_last_block_only() -> None:
    """With the denoising losses off, cross-entropy alone moves block T, and no other block."""
    method = build("noprop", T=3, make_optimizer=plain_sgd, classifier_input="output")
    method.schedule = replace(method.schedule, weight=(0.0, 0.0, 0.0))
    before = [[p.clone() for p in block.parameters()] for block in method.net.blocks]
    method.train_step(*batch())
    changed = [
        any(not torch.equal(old, new) for old, new in zip(olds, block.parameters(), strict=True))
        for olds, block in zip(before, method.net.blocks, strict=True)
    ]
    assert changed == [False, False, True]


@pytest.mark.parametrize("embedding", ["onehot", "learned", "prototype"])
@pytest.mark.parametrize("classifier_input", ["sample", "output"])
def test_a_step_has_the_loss_and_the_gradients_of_equation_8(embedding: str, classifier_input: str) -> None:
    """Block by block against one backward pass over the whole equation, written out from its terms."""
    options = {"T": 3, "eta": 0.3, "embedding": embedding, "classifier_input": classifier_input}
    x, y = batch(16)

    class Keeps(torch.optim.SGD):
        def zero_grad(self, set_to_none: bool = True) -> None: ...

    method = build("noprop", make_optimizer=lambda parameters: Keeps(parameters, lr=0.0), **options)
    torch.manual_seed(9)
    loss = method.train_step(x, y)
    net, alpha_bar = build("noprop", **options).net, method.schedule.alpha_bar
    torch.manual_seed(9)
    streams = Streams()
    streams.next_step()
    u = net.embedding.weight[y]
    d = u.shape[1]

    def noised(t: int) -> Tensor:
        return math.sqrt(alpha_bar[t]) * u + math.sqrt(1 - alpha_bar[t]) * torch.randn_like(u)

    expected = 0.5 * (alpha_bar[0] * u.square().sum(1) - d * alpha_bar[0] - d * math.log(1 - alpha_bar[0])).mean()
    for t in (1, 2, 3):
        with streams.enter(t):
            estimate = net.blocks[t - 1](x, noised(t - 1), net.embedding.weight)
        increase = alpha_bar[t] / (1 - alpha_bar[t]) - alpha_bar[t - 1] / (1 - alpha_bar[t - 1])
        expected = expected + 3 / 2 * 0.3 * increase * (estimate - u).square().sum(1).mean()
    with streams.enter(0):
        classified = noised(3) if classifier_input == "sample" else estimate
    expected = expected + nn.functional.cross_entropy(net.head(classified), y)
    expected.backward()
    torch.testing.assert_close(loss, expected.detach())
    ours = dict(method.net.named_parameters())
    for key, value in net.named_parameters():
        torch.testing.assert_close(ours[key].grad, value.grad, rtol=1e-4, atol=1e-6, msg=key)


class _Recorder(nn.Module):
    """Stands in for a block: records the z that it is given and answers with the true embedding."""

    def __init__(self, u: Tensor) -> None:
        super().__init__()
        self.u, self.seen = u, torch.empty(0)
        self.scale = nn.Parameter(torch.ones(()))

        self.image_path = nn.Identity()

    def forward(self, x: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        return self.denoise(x, z, weight)

    def denoise(self, features: Tensor, z: Tensor, weight: Tensor) -> Tensor:
        self.seen = z.detach().clone()
        return self.u * self.scale


def test_training_and_inference_feed_a_block_the_same_noise_level() -> None:
    """With perfect blocks, what block t sees in training and at inference has one mean and one variance."""
    n = 20_000
    method = build("noprop", T=4)
    y = torch.zeros(n, dtype=torch.int64)
    u = method.net.embedding(y)
    x = torch.zeros(n, 1, 1, 1)
    method.net.blocks = nn.ModuleList(_Recorder(u) for _ in range(4))
    method.set_up(plain_sgd)
    torch.manual_seed(0)
    in_training = []
    method._streams.next_step()
    for t in range(1, 5):
        method.train_blocks([t], x, y)
        in_training.append(method.net.blocks[t - 1].seen)
    for block in method.net.blocks:
        block.scale.data.fill_(1.0)
    method.predict(x, Generator().manual_seed(0))
    for t in range(1, 5):
        at_inference = method.net.blocks[t - 1].seen
        error = 6 / math.sqrt(n)
        # Inference starts from N(0, I) where q(z_0|y) has a mean of sqrt(alpha_bar_0) u, which is 0.03 at most.
        torch.testing.assert_close(in_training[t - 1].mean(0), at_inference.mean(0), rtol=0, atol=error + 0.032)
        torch.testing.assert_close(in_training[t - 1].var(0), at_inference.var(0), rtol=0, atol=error)
        assert float(in_training[t - 1].mean(0)[0]) == pytest.approx(
            math.sqrt(method.schedule.alpha_bar[t - 1]), abs=error
        )


def test_prediction_with_an_oracle_has_the_last_marginal() -> None:
    n = 20_000
    method = build("noprop", T=6)
    u = method.net.embedding(torch.full((n,), 3))
    method.net.blocks = nn.ModuleList(_Recorder(u) for _ in range(6))
    method.net.head = nn.Identity()
    z = method.predict(torch.zeros(n, 1, 1, 1), Generator().manual_seed(0))
    spread = math.sqrt(1 - method.schedule.alpha_bar[-1])
    torch.testing.assert_close(
        z.mean(0), math.sqrt(method.schedule.alpha_bar[-1]) * u[0], rtol=0, atol=6 * spread / math.sqrt(n) + 1e-3
    )
    torch.testing.assert_close(z.var(0), torch.full((10,), spread**2), rtol=0.06, atol=0)


def test_learns(trained: NoPropDT) -> None:
    _, _, x, y = real_digits()
    assert accuracy(trained, x, y) > 0.93


def test_the_earlier_blocks_matter(trained: NoPropDT) -> None:
    """Untrained blocks 1..T-1 must cost accuracy under the default sampler; under `replace` they cost nothing much."""
    _, _, x, y = real_digits()
    whole = accuracy(trained, x, y)
    crippled = build("noprop", seed=1, T=T)
    fresh = [snapshot(block) for block in crippled.net.blocks[:-1]]
    crippled.load_state_dict(trained.state_dict())
    for block, state in zip(crippled.net.blocks, fresh, strict=False):
        block.load_state_dict(state)
    assert accuracy(crippled, x, y) < whole - 0.05


def test_every_block_classifies_by_itself(trained: NoPropDT) -> None:
    """From pure noise each early block must find the class in the image; a block trained to be wrong would not."""
    _, _, x, y = real_digits()
    z = torch.randn(len(x), 10, generator=Generator().manual_seed(0))
    with torch.no_grad():
        for t in (1, 2):
            estimate = trained.net.estimate(t, x, z)
            assert float((estimate.argmax(dim=1) == y).float().mean()) > 0.8


def test_samplers_differ_only_in_what_they_say(trained: NoPropDT) -> None:
    z, estimate = torch.randn(4, 10), torch.rand(4, 10)

    def step(sampler: str) -> Tensor:
        method = build("noprop", T=T, sampler=sampler)
        return method._next(2, z, estimate, Generator().manual_seed(0))

    mean = trained.schedule.a[1] * estimate + trained.schedule.b[1] * z
    noise = torch.randn(4, 10, generator=Generator().manual_seed(0))
    torch.testing.assert_close(step("mean"), mean)
    torch.testing.assert_close(step("ancestral"), mean + math.sqrt(trained.schedule.c[1]) * noise)
    torch.testing.assert_close(step("replace"), estimate)


def test_default_sampler_uses_every_block() -> None:
    assert build("noprop", T=1).options.sampler == "ancestral"


def test_the_schedule_option_is_the_schedule() -> None:
    cosine, linear = (build("noprop", T=4, schedule=name).schedule.alpha_bar for name in ("cosine", "linear"))
    assert linear == pytest.approx((0.001, 0.2505, 0.5, 0.7495, 0.999))
    assert cosine != pytest.approx(linear)


@pytest.mark.parametrize(("decoder", "low", "high"), [("tanh", -1.0, 1.0), ("relu", 0.0, math.inf)])
def test_decoders_bound_the_estimate(decoder: str, low: float, high: float) -> None:
    method = build("noprop", T=1, embedding="learned", embedding_dim=6, decoder=decoder)
    method.net.embedding.weight.data.mul_(5)
    estimate = method.net.estimate(1, batch(64)[0], torch.randn(64, 6))
    assert float(estimate.min()) >= low
    assert float(estimate.max()) <= high
    assert float(estimate.std()) > 0.01


@pytest.mark.parametrize("embedding", ["onehot", "learned", "prototype"])
@pytest.mark.parametrize("decoder", ["none", "tanh", "relu"])
def test_variants_train(embedding: str, decoder: str) -> None:
    method = build("noprop", T=2, embedding=embedding, decoder=decoder)
    first = float(method.train_step(*batch(64)))
    for _ in range(30):
        last = float(method.train_step(*batch(64)))
    assert last < first
    assert method.predict(batch(4)[0], Generator()).shape == (4, SHAPE.num_classes)


def test_a_block_learns_the_same_whatever_the_others_do() -> None:
    """Trained with all others, in another order, or alone: the same numbers to the last bit."""
    x, y = batch()

    def trained(order: Sequence[int]) -> NoPropDT:
        torch.manual_seed(5)
        method: NoPropDT = build("noprop", T=3)
        for _ in range(2):
            method._streams.next_step()
            method.train_blocks(order, x, y)
            with method._streams.enter(0):
                method.train_shared(y)
        return method

    whole = trained([1, 2, 3])
    for order in ([3, 2, 1], [2]):
        other = trained(order)
        for t in order:
            theirs = other.net.blocks[t - 1].state_dict()
            for name, value in whole.net.blocks[t - 1].state_dict().items():
                assert torch.equal(value, theirs[name]), name
        assert torch.equal(whole.net.head.weight, other.net.head.weight)


def test_steps_and_blocks_draw_different_numbers() -> None:
    torch.manual_seed(0)
    streams = Streams()
    drawn = []
    for _ in range(4):
        streams.next_step()
        for part in range(3):
            with streams.enter(part):
                drawn.append(float(torch.rand(())))
    assert len(set(drawn)) == 12


def test_blocks_divided_among_processes_learn_what_they_learn_together() -> None:
    """To the bit: each process's own blocks, the head in every process; and the processes' losses add up."""
    x, y = batch(16)
    whole = build("noprop", T=5)
    parts = [build("noprop", T=5) for _ in range(2)]
    division = parts[0].divide(2, 0)
    parts[1].divide(2, 1)
    losses = []
    for method in (whole, *parts):
        torch.manual_seed(1)
        method.train()
        losses.append([float(method.train_step(x, y)) for _ in range(3)])
    assert losses[0] == pytest.approx([a + b for a, b in zip(*losses[1:], strict=True)], rel=1e-6)
    owners = [{parts[0].net.blocks[t] for t in range(5)} & set(modules) for modules in division]
    assert sorted(map(len, owners)) == [2, 3]
    for t in range(5):
        here = 0 if parts[0].net.blocks[t] in owners[0] else 1
        trained, idle = parts[here].net.blocks[t], parts[1 - here].net.blocks[t]
        assert same(snapshot(whole.net.blocks[t]), trained)
        assert same(snapshot(build("noprop", T=5).net.blocks[t]), idle)
    for part in parts:
        assert same(snapshot(whole.net.head), part.net.head)
