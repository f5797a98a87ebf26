"""The interface that the harness drives, in the order in which it calls it.

options = Cls.Options.parse({"T": "20"})      a mistake in an option is found before anything starts
method = Cls(shape, options)                  build for a data set
method.init_from_data(images)            before anything is trained; most methods need nothing of it
method.set_up(make_optimizer)                 the harness's own optimiser, the same for every method
method.start_pass(number)                     for each pass over an epoch's batches; most methods make one
method.train(); method.train_step(x, y)       for each batch
method.eval(); method.predict(x, generator)   logits; labels are nowhere in reach
method.diagnose(batches, generator)           what each block has learned, where the method can say
method.state_dict()                           from torch.nn.Module
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods.core.diagnostics import Batches, Diagnosis
from methods.core.options import Options as OptionsBase
from methods.core.search_space import Range
from methods.networks.prototypes import TrainingImages

ParameterGroups = Iterable[nn.Parameter] | Iterable[dict[str, Any]]
MakeOptimizer = Callable[[ParameterGroups], Optimizer]
"""Given parameters, or groups of them in PyTorch's form, an optimiser. The harness chooses it, the same for all."""


@dataclass(frozen=True)
class TaskShape:
    """What a method needs to know of a data set to build itself."""

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
    """What arXiv 2503.24322 trains a method with (table 3), where that is not what it gives for all.

    Batch size, learning rate and weight decay are the same for all of its methods.
    """

    optimizer: str = "AdamW"
    epochs: Mapping[str, int] = field(default_factory=dict)
    """By data set; one that is not here takes the data set's own number."""
    options: Mapping[str, object] = field(default_factory=dict)
    """Values of the method's options that are not their defaults."""


class Method(nn.Module, ABC):
    """One way to train the shared backbone.

    A subclass is registered with `methods.register`, declares its options in a nested `Options`, says in `summary`
    (one line) what it is, in `epoch_definition` what it does in one pass over the training images, and in `credit` how
    credit reaches the weights.
    """

    name: ClassVar[str]
    """Set by `register`."""
    summary: ClassVar[str]
    epoch_definition: ClassVar[str]
    credit: ClassVar[str] = "unstated"
    """How credit reaches the weights, in a few words: by it, the report groups methods."""
    Options: ClassVar[type[OptionsBase]] = OptionsBase
    paper: ClassVar[PaperSettings] = PaperSettings()
    search_space: ClassVar[Mapping[str, Range]] = {}
    """Options that a search for hyperparameters varies, beside learning rate and weight decay, which it does for all.
    A default lies in its range."""
    low_memory: ClassVar[Mapping[str, str]] = {}
    """Options with which it is trained part after part, so that only one part is on the device; empty: it cannot be."""
    trained_on_own_task: ClassVar[bool] = True
    """Whether blocks are trained on what `diagnose` calls their own task: true labels noised to their level."""

    execution: str | None = None
    """How training is carried out, where there are several ways to compute the same; known after `set_up`."""
    num_passes: int = 1
    """How often an epoch goes through its batches; known after `set_up`. What a step trains may differ by pass."""

    def __init__(self, shape: TaskShape, options: OptionsBase) -> None:
        super().__init__()
        self.shape = shape
        self.options = options

    @classmethod
    def has_low_memory(cls, options: Mapping[str, object]) -> bool:
        """Whether it is trained part after part with these options (all of them, with their effective values)."""
        return bool(cls.low_memory) and options.items() >= cls.low_memory.items()

    def init_from_data(self, images: TrainingImages) -> None:
        """Start from the training images, where a method does; called once, on their device, before `set_up`."""

    @abstractmethod
    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """Create this method's optimisers; called once, when the parameters are on their device."""

    def start_pass(self, number: int) -> None:
        """Before each of an epoch's `num_passes` passes, from 0; their losses on a batch add up to the method's."""

    @abstractmethod
    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Learn from one batch: forward, backward and the parameters' update.

        Args:
            x: images, float32, (batch, channels, height, width), normalised.
            y: labels, int64, (batch,).

        Returns:
            The method's own training loss on the batch, detached, a scalar. Losses of two methods do not compare.
        """

    @abstractmethod
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Class logits for `x`, in evaluation mode and without gradients.

        Args:
            x: images, as in `train_step`.
            generator: the only source of randomness to use, so that evaluating never disturbs training.

        Returns:
            Logits, (batch, num_classes).
        """

    def diagnose(self, batches: Batches, generator: Generator) -> Diagnosis | None:
        """What each block has learned and how the class comes about, in evaluation mode; None: nothing to say.

        Args:
            batches: images and labels that were not trained on.
            generator: the only source of randomness to use.
        """
        return None

    def divide(self, ranks: int, rank: int) -> list[Sequence[nn.Module]] | None:
        """From now on train only this process's share of the parts that learn apart, with no word to the others.

        Whatever all parts share is trained by every process, in the same way to the bit. May be called before `set_up`.

        Args:
            ranks: how many processes there are.
            rank: this one, from 0.

        Returns:
            For each process the modules that it alone trains; None where nothing can be trained apart, and then
            nothing has changed. The losses that the processes return add up to the method's own.

        Raises:
            MethodError: the parts can be trained apart, but not with these options, or not by so many processes.
        """
        return None

    @abstractmethod
    def optimizers(self) -> Iterator[Optimizer]:
        """The optimisers made in `set_up`, for counting their state."""

    @abstractmethod
    def stack(self) -> Iterable[nn.Module]:
        """The modules that matched methods share by design (the blocks), for counting and comparing parameters."""

    @property
    def parameter_count(self) -> int:
        """Numbers in all trained parameters."""
        return sum(p.numel() for p in self.parameters())

    @property
    def stack_parameter_count(self) -> int:
        """Numbers in the trained parameters of `stack()`."""
        return sum(p.numel() for module in self.stack() for p in module.parameters())
