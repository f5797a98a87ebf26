"""A neural ODE: `noprop-ct`'s network trained through the ODE solver ("adjoint sensitivity" in the paper's table 1).

Chen and others, arXiv 1806.07366. Network, schedule, flow and inference are those of `noprop-ct`, except that there is
no dropout in the label path of prototypes. The loss is the cross-entropy at the end of the flow. Its gradient comes
from solving the adjoint equation backwards in time, so memory does not grow with the number of steps. The NoProp paper
states neither dynamics nor solver of its row.

At a few tens of steps the adjoint's gradient differs from the discrete solver's by a few per cent for the network and
by much more for the shape of the schedule, whose gradients are small; both differences vanish with more steps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import torch.nn.functional as F
from torch import Tensor, nn

from methods.core.method import PaperSettings, TaskShape
from methods.core.options import count_to
from methods.core.registry import register
from methods.networks.continuous import MAX_STEPS, Solver, solve
from methods.networks.embedding import HeadOptions
from methods.networks.learned_schedule import DenoisingFlow, DenoisingOptions


@dataclass(frozen=True)
class AdjointOptions(DenoisingOptions, HeadOptions):
    """Options of the neural ODE, which is trained with the solver of inference."""

    steps: Annotated[int, count_to(MAX_STEPS)] = 10
    """Steps of the solver from t = 0 to t = 1, in training and inference alike."""
    solver: Solver = "heun"
    """As in `ContinuousOptions`, in training too."""


@register("adjoint")
class Adjoint(DenoisingFlow):
    """The neural ODE. See the module's docstring; `AdjointOptions` has the options."""

    summary = "backpropagation through time's solver, by the adjoint method, on noprop-ct's network: a neural ODE"
    epoch_definition = (
        "one pass over the training images; each batch solves the flow forward and its adjoint backward, and trains "
        "the one network once"
    )
    credit = "gradients through the whole network"
    Options = AdjointOptions
    paper = PaperSettings(epochs={"mnist": 2, "cifar10": 4, "cifar100": 4}, options={"steps": 1000, "solver": "euler"})
    trained_on_own_task = False

    def __init__(self, shape: TaskShape, options: AdjointOptions) -> None:
        super().__init__(shape, options)
        self.head.start_scaled(options.head_scale, self.embedding)
        # If the embedding is an image, z goes through a CNN inside the flow. With dropout there, each evaluation would
        # be of another flow, and the adjoint's backward solve would follow none of those solved forward.
        for module in self.net.label_path.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy where the flow from z_0 ~ N(0, I) ends: one solve forward and, for its gradient, one back."""
        features = self.net.image_path(x)
        return F.cross_entropy(self.head(self.follow(features, self._start(features))), y)

    def follow(self, features: Tensor, z: Tensor, solver: Callable[..., Tensor] | None = None) -> Tensor:
        """The end of the flow from z_0 = z, (batch, embedding_dim), given the images' features, (batch, 256).

        Its gradient is by `odeint_adjoint`, or, with `odeint`, by plain backpropagation through every step.
        """
        from torchdiffeq import odeint_adjoint  # here, as in `solve`

        solver = solver or odeint_adjoint
        # The adjoint must give a gradient to everything the flow depends on: the output of the image path, but not its
        # parameters, which get theirs from there by plain backpropagation.
        of_image_path = {id(p) for p in self.net.image_path.parameters()}
        depends_on = [features, *(p for p in self.parameters() if id(p) not in of_image_path)]
        adjoint = {"adjoint_params": tuple(depends_on)} if solver is odeint_adjoint else {}
        return solve(partial(self.velocity, features), z, self.options, solver, **adjoint)
