"""The neural-ODE rival (table 1's "adjoint sensitivity"): noprop-ct's model trained through the solver.

Network, schedule, flow and inference are those of `noprop-ct` (but for dropout in the label path of prototypes, which a
flow cannot have); the loss is the cross-entropy where the flow ends, and
its gradient comes from solving the adjoint equation backwards in time (Chen and others, arXiv 1806.07366), so that the
memory held does not grow with the number of steps. The paper says neither the dynamics nor the solver of its row.

At a few tens of steps the adjoint's gradient differs from that of the discrete solver by a few per cent for the
network and by much more for the shape of the schedule, whose gradients are small; both differences vanish with more
steps.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchdiffeq import odeint_adjoint

from methods.core.method import PaperSettings, TaskShape
from methods.core.registry import register
from methods.networks.continuous import solve
from methods.networks.denoiser import DenoisingMethod, DenoisingOptions


@register("adjoint")
class Adjoint(DenoisingMethod):
    """The neural ODE. See the module's docstring; `steps` and `solver` are of training and inference alike."""

    summary = "backpropagation through time's solver, by the adjoint method, on noprop-ct's network: a neural ODE"
    epoch_definition = (
        "one pass over the training images; each batch solves the flow forward and its adjoint backward, and trains "
        "the one network once"
    )
    credit = "gradients through the whole network"
    Options = DenoisingOptions
    paper = PaperSettings(epochs={"mnist": 2, "cifar10": 4, "cifar100": 4}, options={"steps": 1000, "solver": "euler"})
    trained_on_own_task = False

    def __init__(self, shape: TaskShape, options: DenoisingOptions) -> None:
        super().__init__(shape, options)
        # Where the embedding is an image, z goes through a CNN inside the flow. With dropout there, the flow would be
        # another one at each evaluation, and the adjoint's backward solve would follow none of those solved forward.
        for module in self.net.label_path.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy where the flow from a z_0 ~ N(0, I) ends: one solve forward and, for its gradient, one back."""
        features = self.net.image_path(x)
        z = torch.randn(len(y), self.embedding.dim, device=x.device)
        return F.cross_entropy(self.head(self.follow(features, z)), y)

    def follow(self, features: Tensor, z: Tensor, solver: Callable[..., Tensor] = odeint_adjoint) -> Tensor:
        """Where the flow from z_0 = z ends, (batch, embedding_dim), with a gradient by the solver's way.

        Args:
            features: of the images, (batch, 256).
            z: noise, (batch, embedding_dim).
            solver: torchdiffeq's `odeint_adjoint`, or `odeint` for plain backpropagation through every step.
        """
        # What the flow depends on and the adjoint must give a gradient to. The image path is not among it: the flow has
        # its output, and its parameters get their gradient from there, once, by plain backpropagation.
        of_image_path = {id(p) for p in self.net.image_path.parameters()}
        depends_on = [features, *(p for p in self.parameters() if id(p) not in of_image_path)]
        adjoint = {"adjoint_params": tuple(depends_on)} if solver is odeint_adjoint else {}
        return solve(partial(self.velocity, features), z, self.options, solver, **adjoint)
