"""The interface of a training method, in the order in which the harness calls it.

options = Cls.Options.parse({"T": "20"})      refuses a bad option before anything starts
method = Cls(shape, options)                  builds the network for a data set
method.init_from_data(images)                 optional: initialise from training images
method.set_up(make_optimizer)                 creates the optimisers; the harness chooses their kind and settings
method.start_pass(number)                     optional: before each pass over an epoch's batches
method.train(); method.train_step(x, y)       for each batch
method.eval(); method.predict(x, generator)   logits; no label is in reach
method.diagnose(batches, generator)           optional: what each block has learned
method.state_dict()                           from torch.nn.Module
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods.core.options import Options as OptionsBase
from methods.core.options import Range
from methods.core.training_images import TrainingImages

ParameterGroups = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
MakeOptimizer = Callable[[ParameterGroups], Optimizer]
"""From parameters, or groups of them in PyTorch's form, to an optimiser: the same kind for every method."""
STACKED = "stacked"
"""Key of a parameter group, true if the first dimension of each parameter is that of blocks which train apart."""
Batches = Iterable[tuple[Tensor, Tensor]]
"""Images and labels as in `Method.train_step`."""


@dataclass(frozen=True)
class TaskShape:
    """What a method needs to know about a data set."""

    channels: int
    height: int
    width: int
    num_classes: int

    @property
    def image(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return self.channels, self.height, self.width


@dataclass(frozen=True)
class PaperSettings:
    """Training settings of arXiv 2503.24322 (table 3) that differ between methods.

    Batch size, learning rate and weight decay are the same for all of the paper's methods.
    """

    optimizer: str = "AdamW"
    epochs: Mapping[str, int] = field(default_factory=dict)
    """By data set; any other takes the data set's own number."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Options of the method whose values differ from their defaults."""


@dataclass(frozen=True)
class BlockDiagnosis:
    """What one block has learned, or the network of a continuous-time method at one time."""

    time: float
    """Of the block's input, in [0, 1): 0 is pure noise."""
    own_accuracy: float
    """Accuracy of its estimate on the task it is trained for: the image, and the true label noised to its level."""
    image_accuracy: float
    """The same with pure noise instead of the noised label: what it reads from the image alone."""
    denoising_error: float
    """Mean |u_hat - u|^2 over mean |u|^2 on its own task."""
    snr_weight: float | None
    """Weight of its loss; None where the loss has none."""


@dataclass(frozen=True)
class Diagnosis:
    """The result of `Method.diagnose`."""

    images: int
    blocks: tuple[BlockDiagnosis, ...]
    steps: tuple[tuple[float, float], ...]
    """(time, accuracy) if inference stopped at that time, from its start at 0 to its end."""


class Method(nn.Module, ABC):
    """One way to train the shared backbone: subclass it and decorate the subclass with `methods.register`."""

    name: ClassVar[str]
    """Set by `register`."""
    summary: ClassVar[str]
    """What it is, in one line, for `--list` and the report."""
    epoch_definition: ClassVar[str]
    """What it does in one pass over the training images, in one line."""
    credit: ClassVar[str] = "unstated"
    """Credit assignment: how credit reaches the weights, in a few words. The report groups methods by it."""
    core: ClassVar[bool] = False
    """Whether it is one of the at most ten methods that answer the project's question, and so of `--methods core`, the
    default. Each class says so for itself: a subclass is not, unless it says so too."""
    Options: ClassVar[type[OptionsBase]] = OptionsBase
    paper: ClassVar[PaperSettings] = PaperSettings()
    search_space: ClassVar[Mapping[str, Range]] = {}
    """What a hyperparameter search varies besides learning rate and weight decay. Ranges include the default."""
    low_memory: ClassVar[Mapping[str, str]] = {}
    """Options that train one block at a time, with only that block on the device; empty: not supported."""
    trained_on_own_task: ClassVar[bool] = True
    """Whether blocks are trained on what `diagnose` calls their own task: true labels noised to their level."""

    execution: str | None = None
    """Which of several ways to compute the same training is used; known after `set_up`. None: there is only one."""
    num_passes: int = 1
    """Passes over its batches in an epoch; known after `set_up`. Each pass may train something else."""
    updates_per_batch: int = 1
    """Steps of an optimiser for one batch, all at the same learning rate; known before `set_up`."""

    def __init__(self, shape: TaskShape, options: OptionsBase) -> None:
        """Build the network on the CPU from PyTorch's global generator.

        Raises:
            MethodError: the method cannot be built for images of this shape, or not with these options.
        """
        super().__init__()
        self.shape = shape
        self.options = options

    @classmethod
    def has_low_memory(cls, options: Mapping[str, object]) -> bool:
        """Whether these options (all of them, with their effective values) train one block at a time."""
        return bool(cls.low_memory) and options.items() >= cls.low_memory.items()

    def init_from_data(self, images: TrainingImages) -> None:
        """Initialise from training images; called once, with images on the method's device, before `set_up`."""

    @abstractmethod
    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """Create the optimisers; called once, when the parameters are on their device."""

    def start_pass(self, number: int) -> None:
        """Called before each of an epoch's `num_passes` passes, from 0. A batch's losses add up over the passes."""

    @abstractmethod
    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Learn from one batch by the method's own rule, and update the parameters. Leaves no gradients.

        A rule without `backward` writes the parameters' `grad` itself and steps the optimiser of `set_up`, so that it
        has the optimiser of all others.

        Args:
            x: images, float32, (batch, channels, height, width), normalised.
            y: labels, int64, (batch,).

        Returns:
            The method's own training loss on the batch: a detached scalar, not comparable between methods.
        """

    @abstractmethod
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Class logits, (batch, num_classes), for images as in `train_step`, in evaluation mode and without gradients.

        The generator is the only source of randomness to use, so that evaluation never disturbs training.
        """

    @contextmanager
    def inferring_with(self, options: OptionsBase) -> Iterator[None]:
        """For a while, predict and diagnose with these options, which differ from its own at inference alone."""
        own, self.options = self.options, options
        try:
            yield
        finally:
            self.options = own

    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis | None:
        """What each block has learned and how inference arrives at the class, in evaluation mode; None: unsupported.

        The batches were not trained on; the generator is the only source of randomness to use.
        """
        return None

    def divide(self, ranks: int, rank: int) -> list[Sequence[nn.Module]] | None:
        """From now on train only this process's share (rank, from 0) of the independent parts, without communication.

        Every process trains what the parts share, identically to the bit. May be called before `set_up`. The losses of
        the processes add up to the method's.

        Returns:
            For each process the modules that only it trains; None, with nothing changed, if there are no such parts.

        Raises:
            MethodError: the parts are not independent with these options, or too few for so many processes.
        """
        return None

    def training_state(self) -> dict[str, int]:
        """What a checkpoint between two epochs needs besides tensors of `state_dict` and optimisers: numbers by name.

        Most methods draw all random numbers from PyTorch's global generator and need nothing.
        """
        return {}

    def set_training_state(self, state: dict[str, int]) -> None:
        """Go on from what `training_state` said; called after `set_up`, on a new method."""

    def offload(self) -> None:
        """Put away again what was brought into memory to be read or written by a checkpoint."""

    @abstractmethod
    def optimizers(self) -> Iterator[Optimizer]:
        """The optimisers made in `set_up`; together they have every trained parameter once.

        What stays fixed is a parameter with `requires_grad_(False)`, which they may leave out, or a buffer
        (`register_buffer`). Neither counts as trained.
        """

    @abstractmethod
    def stack(self) -> Iterable[nn.Module]:
        """The modules that matched methods share by design (the blocks), for comparing parameter counts.

        At least one: a method that shares nothing names the modules that it trains.
        """

    @property
    def parameter_count(self) -> int:
        """Numbers in all trained parameters."""
        return _count_trained(self)

    @property
    def stack_parameter_count(self) -> int:
        """Numbers in the trained parameters of `stack()`."""
        return sum(map(_count_trained, self.stack()))


def _count_trained(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)
