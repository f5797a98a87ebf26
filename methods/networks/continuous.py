"""Continuous time: one network of image, noisy embedding and time, and inference along an ODE.

After section 4 of arXiv 2503.24322: the block of the discrete-time stack with a third path for the time and without
batch norm, used at every t in [0, 1].
"""

import math
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import torch
from torch import Generator, Tensor, nn

from methods.core.end_to_end import EndToEnd
from methods.core.method import Batches, Diagnosis, PaperSettings, TaskShape
from methods.core.options import INFERENCE_ONLY, count_to
from methods.core.training_images import TrainingImages
from methods.networks.backbone import HIDDEN, EmbeddingOptions, Features, ImagePath, dense, label_path
from methods.networks.embedding import ClassEmbedding, EmbeddingClassifier, nearest
from methods.networks.inference import Probe, average_predictions, diagnose

TIME_FREQUENCIES = 64
MAX_STEPS = 100_000
PROBED_TIMES = 10
"""Times at which a diagnosis probes the network, and inner points at which it shows inference."""
Solver = Literal["euler", "heun"]
SOLVERS = {"euler": "euler", "heun": "heun2"}
"""Our names to torchdiffeq's."""
PAPER = PaperSettings(
    optimizer="Adam",
    epochs={"mnist": 100, "cifar10": 500, "cifar100": 1000},
    options={"steps": 1000, "solver": "euler"},
)
"""Table 3 on NoProp in continuous time and by flow matching. That the solver is Euler's is inferred."""
Field = Callable[[Tensor, Tensor], Tensor]
"""dz/dt from a scalar time and z, (batch, embedding_dim)."""


@dataclass(frozen=True)
class ContinuousOptions(EmbeddingOptions):
    """Options of every method in continuous time."""

    steps: Annotated[int, count_to(MAX_STEPS), INFERENCE_ONLY] = 10
    """Steps of the solver from t = 0 to t = 1 (table 3: 1,000)."""
    solver: Annotated[Solver, INFERENCE_ONLY] = "heun"
    """euler: one evaluation of the network per step; heun: two, second order. Not in the paper."""


class TimePath(nn.Module):
    """Sines and cosines of t, then two linear layers: (batch,) to (batch, 256)."""

    frequencies: Tensor

    def __init__(self) -> None:
        super().__init__()
        # From half a turn over [0, 1] to about 16 turns, evenly on a logarithmic scale.
        frequencies = torch.logspace(math.log10(math.pi), 2, TIME_FREQUENCIES)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.layers = nn.Sequential(
            dense(2 * TIME_FREQUENCIES, batch_norm=False), dense(HIDDEN, batch_norm=False, relu=False)
        )

    def forward(self, t: Tensor) -> Tensor:
        """Times, (batch,) or a scalar, to features, (batch, 256) or (256,)."""
        angle = t.unsqueeze(-1) * self.frequencies
        return self.layers(torch.cat([angle.sin(), angle.cos()], dim=-1))


class ContinuousNet(nn.Module):
    """One network for all times: from image features, noisy embedding and time to `outputs` numbers."""

    def __init__(
        self, shape: TaskShape, embedding: ClassEmbedding, outputs: int, features: Features = "flatten"
    ) -> None:
        super().__init__()
        self.image_path = ImagePath(shape, features=features, batch_norm=False)
        self.label_path = label_path(shape, embedding, features=features, batch_norm=False)
        self.time_path = TimePath()
        self.fusion = nn.Sequential(
            dense(3 * HIDDEN, batch_norm=False), dense(HIDDEN, batch_norm=False), nn.Linear(HIDDEN, outputs)
        )

    def forward(self, features: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """(batch, outputs) from the image path's features, noisy embeddings z, and times t in [0, 1].

        Features are (batch, 256), z is (batch, embedding_dim), t is (batch,), or a scalar for all.
        """
        time = self.time_path(t).expand(len(z), -1)
        fused = torch.cat([features, self.label_path(z), time], dim=1)  # (batch, 768)
        return self.fusion(fused)


class FlowMethod(EndToEnd):
    """Base of methods in continuous time: a subclass builds `net` and `head` and says where z moves (`velocity`)."""

    options: ContinuousOptions
    net: ContinuousNet
    head: EmbeddingClassifier | None
    """None: the class is that of the nearest embedding."""

    def __init__(self, shape: TaskShape, options: ContinuousOptions) -> None:
        super().__init__(shape, options)
        self.embedding = ClassEmbedding(options.embedding, shape.num_classes, shape.image, options.embedding_dim)

    @abstractmethod
    def velocity(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """dz/dt of inference at a scalar time t, from the image path's features and z, (batch, embedding_dim)."""

    @abstractmethod
    def _probe(self, time: float) -> Probe:
        """How to diagnose the network at one time."""

    def init_from_data(self, images: TrainingImages) -> None:
        """Start from prototypes if the options ask for them."""
        self.embedding.start_from(images)
        if self.head is not None:
            self.head.start_from(self.embedding)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Follow the flow from noise to t = 1 and classify its end."""
        features = self.net.image_path(x)

        def draw() -> Tensor:
            z = self._start(features, generator)
            z_1 = solve(partial(self.velocity, features), z, self.options)
            return self._classify(features, torch.ones((), device=z.device), z_1)

        return average_predictions(draw, self.options.samples)

    def _start(self, features: Tensor, generator: Generator | None = None) -> Tensor:
        """z_0 ~ N(0, I), (batch, embedding_dim)."""
        return torch.randn(len(features), self.embedding.dim, device=features.device, generator=generator)

    def _classify(self, features: Tensor, t: Tensor, z: Tensor) -> Tensor:
        """Logits, (batch, num_classes), if inference ends with z = z_t at the scalar time t."""
        return nearest(z, self.embedding.weight) if self.head is None else self.head(z)

    @torch.no_grad()
    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis:
        """The network at evenly spaced times, and the class along the flow."""

        def chain(features: list[Tensor], generator: Generator) -> Iterator[tuple[float, Tensor]]:
            z_0 = self._start(features[0], generator)
            for time, z in path(partial(self.velocity, features[0]), z_0, self.options):
                yield time, self._classify(features[0], torch.tensor(time, device=z.device), z)

        probes = [self._probe(k / PROBED_TIMES) for k in range(PROBED_TIMES)]
        return diagnose(batches, self.embedding.weight, lambda x: [self.net.image_path(x)], probes, chain, generator)

    def stack(self) -> Iterable[nn.Module]:
        """The one network."""
        return [self.net]


def spread_times(count: int, device: torch.device) -> Tensor:
    """Times for one batch, (count,): each is uniform on [0, 1), and together they are evenly spread.

    One random offset, then equal distances around the circle (Kingma and others, arXiv 2107.00630, appendix I): the
    expectation of independent times with less variance. Images come in random order, so no image is tied to a time.
    """
    return (torch.rand((), device=device) + torch.arange(count, device=device) / count) % 1


def solve(
    field: Field, z: Tensor, options: ContinuousOptions, solver: Callable[..., Tensor] | None = None, **arguments: Any
) -> Tensor:
    """Where dz/dt = field(t, z) leads from z, (batch, embedding_dim), from t = 0 to t = 1 in equal steps.

    The solver is torchdiffeq's `odeint`, the default, or `odeint_adjoint`, which gets the further arguments.
    """
    from torchdiffeq import odeint  # here: with SciPy it takes half a second, and most methods do without

    # The grid itself rather than a step size, with which rounding can add a step. The adjoint goes back from 1 to 0.
    steps = {"grid_constructor": lambda field, z, t: _grid(options, t)}
    ends = torch.tensor([0, 1], dtype=z.dtype, device=z.device)
    return (solver or odeint)(field, z, ends, method=SOLVERS[options.solver], options=steps, **arguments)[-1]


def _grid(options: ContinuousOptions, ends: Tensor) -> Tensor:
    return torch.linspace(float(ends[0]), float(ends[-1]), options.steps + 1, dtype=ends.dtype, device=ends.device)


def path(field: Field, z: Tensor, options: ContinuousOptions) -> Iterator[tuple[float, Tensor]]:
    """The same, yielding (time, z) at the steps that a diagnosis shows."""
    from torchdiffeq import odeint

    grid = _grid(options, torch.tensor([0, 1], dtype=z.dtype, device=z.device))
    positions = odeint(field, z, grid, method=SOLVERS[options.solver])
    for step in shown_steps(options.steps):
        yield float(grid[step]), positions[step]


def shown_steps(steps: int) -> list[int]:
    """Which of the steps 0..steps of inference a diagnosis shows: the ends and, evenly spaced, at most 9 between."""
    return sorted({round(k * steps / PROBED_TIMES) for k in range(PROBED_TIMES + 1)})
