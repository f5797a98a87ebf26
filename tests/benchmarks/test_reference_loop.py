"""The plain trainer does the same work as the methods it is held against: plain tests, always run."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

from bench.meters.flops import FlopMeter
from methods.core.method import TaskShape
from methods.networks.backbone import Block
from methods.networks.embedding import ClassEmbedding
from methods.noprop_dt import NoPropDT
from tests.benchmarks.reference_loop import MODELS, ReferenceBlock, ReferenceLoop, ReferenceNoProp, make_loop
from tests.benchmarks.workload import Sizes, Subject, make_subject

SHAPE = (3, 11, 8)
BATCH = 10


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=MODELS)
def subject(request: pytest.FixtureRequest) -> Subject:
    return make_subject(request.param, SHAPE, BATCH, 1, Sizes.as_mnist(BATCH))


@pytest.fixture
def plain(subject: Subject) -> ReferenceLoop:
    return make_loop(subject)


def blocks(classes: int = 7) -> tuple[Block, ReferenceBlock]:
    """Both in evaluation mode with the same numbers everywhere, running statistics of batch norm included."""
    shape = TaskShape(*SHAPE, classes)
    block = Block(shape, ClassEmbedding("onehot", classes, shape.image, None), "none")
    for module in block.modules():
        if isinstance(module, nn.BatchNorm1d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                nn.init.uniform_(values, 0.5, 1.5)
    reference = ReferenceBlock(SHAPE[0], classes)
    reference.load_state_dict(dict(zip(reference.state_dict(), block.state_dict().values(), strict=True)))
    return block.eval(), reference.eval()


def test_the_block_gives_the_same_with_the_same_weights() -> None:
    block, reference = blocks()
    x, z, embeddings = torch.randn(5, *SHAPE), torch.randn(5, 7), torch.randn(7, 7)
    with torch.no_grad():
        expected = block(x, z, embeddings)
        torch.testing.assert_close(reference(x, z, embeddings), expected, rtol=0, atol=1e-5)
    assert expected.std() > 0.01


def test_as_many_parameters(subject: Subject, plain: ReferenceLoop) -> None:
    assert sum(p.numel() for p in plain.model.parameters()) == subject.method.parameter_count
    assert sum(p.numel() for p in plain.model.blocks.parameters()) == subject.method.stack_parameter_count


def test_a_training_step_has_the_same_operations(subject: Subject, plain: ReferenceLoop) -> None:
    """Forward and backward, of convolutions and matrix products."""
    x, y = subject.batch()
    counted = []
    for step in (plain.step, subject.method.train_step):
        with FlopMeter() as meter:
            step(x, y)
        counted.append(meter.flops)
    assert counted[0] == counted[1] > 0


def test_its_images_are_the_harness_s(subject: Subject, plain: ReferenceLoop) -> None:
    """As floats, but for the layout; all of them, and in another order in each epoch."""
    expected = subject.data.images(subject.data.train.x)
    drawn = [torch.cat([x for x, _ in plain.training_batches()]) for _ in range(2)]
    assert not torch.equal(*drawn)
    for images in drawn:
        torch.testing.assert_close(images.flatten(1).sum(1).sort()[0], expected.flatten(1).sum(1).sort()[0])
    assert drawn[0].is_contiguous()


@pytest.mark.parametrize("subject", ["noprop"], indirect=True)
def test_noise_and_weights_are_the_schedule_s(subject: Subject, plain: ReferenceLoop) -> None:
    """The chain of inference from the same numbers, with dropout off and the same weights."""
    model, method = plain.model, subject.method
    assert isinstance(model, ReferenceNoProp)
    assert isinstance(method, NoPropDT)
    assert model.alpha_bar == pytest.approx(method.schedule.alpha_bar)
    for reference, block in zip(model.blocks, method.net.blocks, strict=True):
        reference.load_state_dict(dict(zip(reference.state_dict(), block.state_dict().values(), strict=True)))
    model.head.load_state_dict(method.net.head.state_dict())
    x, _ = subject.batch()
    with torch.no_grad():
        torch.manual_seed(1)
        logits = model.eval().logits(x)
        expected = method.eval().predict(x, torch.Generator().manual_seed(1))
    torch.testing.assert_close(logits.softmax(1), expected.softmax(1), rtol=0, atol=1e-5)


def test_an_epoch_trains_everything_and_evaluates_every_part(subject: Subject, plain: ReferenceLoop) -> None:
    before = [p.detach().clone() for p in plain.model.parameters()]
    epoch = plain.epoch()
    assert math.isfinite(epoch.loss)
    assert all(not torch.equal(p, old) for p, old in zip(plain.model.parameters(), before, strict=True))
    sizes = Sizes.as_mnist(BATCH)
    assert epoch.images == sizes.train
    assert epoch.evaluated == sizes.train + sizes.val + sizes.test
    assert all(0 <= accuracy <= 1 for accuracy in epoch.accuracies)
    assert 0 < epoch.training_seconds < epoch.seconds


def test_sizes_are_in_mnist_s_proportions() -> None:
    sizes = Sizes.as_mnist(128)
    assert sizes.train / sizes.val == 54_000 / 6_000
    assert sizes.train / sizes.test == pytest.approx(54_000 / 10_000, rel=5e-3)
