"""The control for "does the chain of blocks do more than its parts?": T image classifiers that know nothing of another.

Each member is `backprop-plain`'s network, a block's image path with a linear head of its own, trained by cross-entropy.
At inference the members' probabilities are averaged (deep ensembles, Lakshminarayanan et al. 2017, arXiv 1612.01474,
without their adversarial examples):

p(y | x) = (1 / T) sum_t softmax(member_t(x)).

Like `noprop`'s blocks, members share nothing, so no gradient passes between them, and they can be trained on as many
machines; unlike blocks, they can run at once in inference, too. They differ by initialisation and dropout alone.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods.core.method import Batches, Diagnosis, MakeOptimizer, Method, TaskShape
from methods.core.options import Options, count_to
from methods.core.registry import register
from methods.networks.backbone import HIDDEN, MAX_BLOCKS, PAPER, Features, ImagePath
from methods.networks.concurrent import PartTrainer, execution_on
from methods.networks.inference import Probe, diagnose
from methods.networks.rng import Streams


@dataclass(frozen=True)
class EnsembleOptions(Options):
    """Options of the ensemble."""

    T: Annotated[int, count_to(MAX_BLOCKS)] = 10
    """Number of members: as many as `noprop` has blocks."""
    features: Features = "flatten"
    """What a member's linear layer reads of its last feature map: by default what a block's reads."""
    execution: Literal["auto", "in_turn", "concurrent"] = "auto"
    """How the members' training is carried out, as `noprop`'s is. in_turn: each batch trains one member after the
    other; concurrent: the same, several members at a time on the CPU, each with its share of the threads, and holds
    what backward needs for these; auto: concurrent on the CPU if there are several threads and members, else
    in_turn."""


@register("backprop-ensemble")
class BackpropEnsemble(Method):
    """T independent image classifiers with averaged probabilities. See the module's docstring.

    A batch trains the members apart, each with an optimiser and random numbers of its own, so activations are held for
    those that are trained at a time.
    """

    summary = "T independent CNNs, probabilities averaged: the control for what the chain of blocks adds"
    epoch_definition = "one pass over the training images; each batch trains all T members once, each on its own loss"
    core = True
    credit = "gradients inside an ensemble member"
    paper = PAPER  # inferred: those of `backprop`
    Options = EnsembleOptions
    trained_on_own_task = False  # a member learns from the image, as in inference
    options: EnsembleOptions

    def __init__(self, shape: TaskShape, options: EnsembleOptions) -> None:
        super().__init__(shape, options)
        self.members = nn.ModuleList(
            nn.Sequential(ImagePath(shape, features=options.features), nn.ReLU(), nn.Linear(HIDDEN, shape.num_classes))
            for _ in range(options.T)
        )

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser per member.

        Raises:
            MethodError: the execution is not one for this device.
        """
        self._optimizers = [make_optimizer(member.parameters()) for member in self.members]
        device = next(self.parameters()).device
        self.execution = execution_on(device, self.options.T, self.options.execution)
        self._trainer = PartTrainer.of(self.execution, self.options.T)
        self._streams = Streams(own=device.type == "cpu")

    def training_state(self) -> dict[str, int]:
        """Where the streams of the members' random numbers are."""
        return self._streams.state()

    def set_training_state(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self._streams.go_on(state)

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """All members once; the mean of their losses."""
        self._streams.next_step()
        return torch.stack(self.train_members(range(1, self.options.T + 1), x, y)).mean()

    def train_members(self, members: Sequence[int], x: Tensor, y: Tensor) -> list[Tensor]:
        """One update of each of these members alone, from its own cross-entropy; the losses, detached.

        A member is a number t = 1..T; it draws its numbers of the current step.
        """
        return self._trainer.train(
            members,
            self._streams,
            loss=lambda t: F.cross_entropy(self.members[t - 1](x), y),
            optimizer=lambda t: self._optimizers[t - 1],
        )

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Log of the members' mean probabilities; not random."""
        *_, (_, averaged) = _averages(self._log_probabilities(x))
        return averaged

    def _log_probabilities(self, x: Tensor) -> list[Tensor]:
        """Each member's, (batch, num_classes)."""
        return [member(x).log_softmax(dim=1) for member in self.members]

    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis:
        """Each member's accuracy and squared error, and the accuracy of the first 0, ..., T members' average.

        A member has no noised label, so its accuracy from the image is its accuracy; and the ensemble's "time" is the
        share of its members.
        """
        classes = torch.eye(self.shape.num_classes, device=next(self.parameters()).device)
        members = [
            Probe(time=t / self.options.T, snr_weight=None, noised=_as_it_is, estimate=partial(_probabilities, t))
            for t in range(self.options.T)
        ]
        return diagnose(
            batches, classes, self._log_probabilities, members, lambda found, _: _averages(found), generator
        )

    def optimizers(self) -> Iterator[Optimizer]:
        """Those of the members."""
        yield from self._optimizers

    def stack(self) -> Iterable[nn.Module]:
        """The members."""
        return self.members


def _averages(log_probabilities: list[Tensor]) -> Iterator[tuple[float, Tensor]]:
    """(t / T, log of the mean probabilities of the first t members) for t = 0..T; without members all are alike."""
    yield 0.0, torch.zeros_like(log_probabilities[0])
    total = torch.full_like(log_probabilities[0], -torch.inf)
    for t, member in enumerate(log_probabilities, start=1):
        total = torch.logaddexp(total, member)
        yield t / len(log_probabilities), total - math.log(t)


def _probabilities(member: int, log_probabilities: list[Tensor], unused: Tensor) -> Tensor:
    """A member's estimate of the one-hot label: its probabilities, (batch, num_classes)."""
    return log_probabilities[member].exp()


def _as_it_is(u: Tensor, generator: Generator) -> Tensor:
    return u
