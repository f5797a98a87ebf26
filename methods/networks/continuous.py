"""What the methods in continuous time share: one network of image, noisy embedding and time, options, and the solver.

After section 4 of arXiv 2503.24322: the block of the discrete-time stack with a third path for the time and without
batch norm, used at every t in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torchdiffeq import odeint

from methods.core.method import PaperSettings, TaskShape
from methods.networks.backbone import HIDDEN, EmbeddingOptions, ImagePath, dense, label_path
from methods.networks.embedding import ClassEmbedding

TIME_FREQUENCIES = 64
MAX_STEPS = 100_000
LOOKED_AT = 10
"""Times at which the network is diagnosed, and the inner points at which inference is."""
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

    steps: int = 10
    """Steps of the solver from t = 0 to t = 1 (table 3: 1,000)."""
    solver: Literal["euler", "heun"] = "heun"
    """euler: one evaluation of the network a step; heun: two, of second order. Not in the paper."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require(1 <= self.steps <= MAX_STEPS, "steps", f"a whole number from 1 to {MAX_STEPS:,}")


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
        features: Tensor = self.layers(torch.cat([angle.sin(), angle.cos()], dim=-1))
        return features


class ContinuousNet(nn.Module):
    """One network for all times: from image features, noisy embedding and time to `outputs` numbers."""

    def __init__(self, shape: TaskShape, embedding: ClassEmbedding, outputs: int) -> None:
        super().__init__()
        self.image_path = ImagePath(shape, batch_norm=False)
        self.label_path = label_path(shape, embedding, batch_norm=False)
        self.time_path = TimePath()
        self.fusion = nn.Sequential(
            dense(3 * HIDDEN, batch_norm=False), dense(HIDDEN, batch_norm=False), nn.Linear(HIDDEN, outputs)
        )

    def forward(self, features: Tensor, z: Tensor, t: Tensor) -> Tensor:
        """What the last linear layer gives, (batch, outputs).

        Args:
            features: `image_path` of the images, (batch, 256).
            z: noisy embeddings, (batch, embedding_dim).
            t: times in [0, 1], (batch,), or one for all, a scalar.
        """
        time = self.time_path(t).expand(len(z), -1)
        fused = torch.cat([features, self.label_path(z), time], dim=1)  # (batch, 768)
        output: Tensor = self.fusion(fused)
        return output


def spread_times(count: int, device: torch.device) -> Tensor:
    """Times for one batch, (count,): each is uniform on [0, 1), and together they are evenly spread.

    One random offset, then equal distances around the circle (Kingma and others, arXiv 2107.00630, appendix I): the
    expectation of independent times with less variance. Images come in random order, so no image is tied to a time.
    """
    return (torch.rand((), device=device) + torch.arange(count, device=device) / count) % 1


def solve(
    field: Field,
    z: Tensor,
    options: ContinuousOptions,
    solver: Callable[..., Tensor] = odeint,
    **of_solver: Any,
) -> Tensor:
    """Where dz/dt = field(t, z) leads from t = 0 to t = 1 in equal steps, (batch, embedding_dim); nothing else is kept.

    Args:
        field: velocity of z at a scalar time.
        z: where to start, (batch, embedding_dim).
        options: solver and number of steps.
        solver: torchdiffeq's `odeint` or `odeint_adjoint`.
        of_solver: further arguments of that.
    """
    # The grid itself rather than a step size: with that, rounding can add a step. The adjoint goes back from 1 to 0.
    steps = {"grid_constructor": lambda field, z, t: _grid(options, t)}
    ends = torch.tensor([0, 1], dtype=z.dtype, device=z.device)
    return solver(field, z, ends, method=SOLVERS[options.solver], options=steps, **of_solver)[-1]


def _grid(options: ContinuousOptions, ends: Tensor) -> Tensor:
    return torch.linspace(float(ends[0]), float(ends[-1]), options.steps + 1, dtype=ends.dtype, device=ends.device)


def path(field: Field, z: Tensor, options: ContinuousOptions) -> Iterator[tuple[float, Tensor]]:
    """The same, with z at the times that a diagnosis shows: the ends and, evenly, at most some between."""
    grid = _grid(options, torch.tensor([0, 1], dtype=z.dtype, device=z.device))
    positions = odeint(field, z, grid, method=SOLVERS[options.solver])
    for step in looked_at(options.steps):
        yield float(grid[step]), positions[step]


def looked_at(steps: int) -> list[int]:
    """Which of the steps 0..steps of inference a diagnosis shows: the ends and, evenly, at most some between."""
    return sorted({round(k * steps / LOOKED_AT) for k in range(LOOKED_AT + 1)})
