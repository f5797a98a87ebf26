"""NoProp in discrete time (arXiv 2503.24322, section 2): every block learns alone to denoise the label.

Block t sees the image and z_{t-1}, the clean embedding u of the label plus noise of its own level, and learns to
estimate u. The noised labels come from the labels themselves, not from the block before, so no block waits for another,
forward or backward, and no gradient crosses from one into another. At inference the blocks run in turn, starting from
pure noise.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from methods.core.end_to_end import backward, update
from methods.core.errors import MethodError
from methods.core.method import STACKED, MakeOptimizer, TaskShape
from methods.core.options import INFERENCE_ONLY, Range
from methods.core.registry import register
from methods.networks.batched_blocks import BatchedBlocks
from methods.networks.concurrent import PartTrainer, execution_on
from methods.networks.discrete import DenoisingStack, NoPropOptions, Sampler
from methods.networks.offload import OffloadedBlocks
from methods.networks.rng import Streams

Execution = Literal["auto", "in_turn", "concurrent", "together", "low_memory"]


@dataclass(frozen=True)
class NoPropDTOptions(NoPropOptions):
    """Options of NoProp in discrete time."""

    sampler: Annotated[Sampler, INFERENCE_ONLY] = "ancestral"
    """As in `NoPropOptions`. The blocks are trained without it."""
    execution: Execution = "auto"
    """How the blocks' training is carried out; the mathematics is the same. in_turn: each batch trains one block after
    the other; concurrent: the same, several blocks at a time on the CPU, each with its share of the threads, and holds
    what backward needs for these; together: one batched computation trains all of them, and holds that for all;
    low_memory: the epoch's batches train the first block, then the second, and so on, and only the block in use is on
    the device, with its optimiser's state while it is trained; auto: together on a CUDA GPU; elsewhere concurrent if
    there are several threads and blocks, and these are independent, else in_turn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.execution in ("concurrent", "low_memory"):
            self.require_independent_blocks(f"execution={self.execution} trains blocks apart, which takes")

    def require_independent_blocks(self, why: str) -> None:
        """Refuse options with which blocks are not independent; `why` goes before the option that is needed.

        Raises:
            MethodError: gradients of several blocks meet in a learned embedding, or the last block's reach the head.
        """
        for name, needed, reason in _INDEPENDENT:
            if (given := getattr(self, name)) != needed:
                raise MethodError(f"option {name}={given!r} is not accepted: {why} {name}={needed}, since {reason}")

    @property
    def has_independent_blocks(self) -> bool:
        """Whether no gradient of a block reaches anything but the block."""
        return all(getattr(self, name) == needed for name, needed, _ in _INDEPENDENT)


_INDEPENDENT = (
    ("embedding", "onehot", "all blocks' gradients meet in a learned one"),
    ("classifier_input", "sample", "otherwise the last block trains the classifier"),
)
"""Options with which blocks are independent, and why."""


@register("noprop", aliases=("noprop-dt",))
class NoPropDT(DenoisingStack):
    """NoProp in discrete time. See the module's docstring; `NoPropDTOptions` has the options."""

    summary = "NoProp, discrete time: each of T blocks is trained alone to denoise the label embedding"
    epoch_definition = (
        "one pass over the training images; each batch trains all T blocks once, each on its own loss and its own noise"
    )
    core = True
    credit = "gradients inside a block"
    Options = NoPropDTOptions
    low_memory: ClassVar[Mapping[str, str]] = {"execution": "low_memory"}
    # Not eta: each block has its own loss and optimiser, so with Adam a loss's scale hardly matters.
    search_space: ClassVar[Mapping[str, Range]] = {"alpha_bar_max": DenoisingStack.search_space["alpha_bar_max"]}
    options: NoPropDTOptions

    def __init__(self, shape: TaskShape, options: NoPropDTOptions) -> None:
        super().__init__(shape, options)
        self._local: Sequence[int] = range(1, options.T + 1)  # the blocks that this process trains
        self._active: Sequence[int] = self._local  # those that it trains in this pass
        self._make_optimizer: MakeOptimizer | None = None

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser per block, or one for all blocks together, and one for what they share: head and W_embed.

        Raises:
            MethodError: the execution is not one for this device.
        """
        self._make_optimizer = make_optimizer
        self._shared_optimizer = make_optimizer([*self.net.embedding.parameters(), *self.net.head.parameters()])
        device = next(self.parameters()).device
        self.execution = self._choose_execution(device)
        self._trainer = PartTrainer.of(self.execution, len(self._local))
        self._streams = Streams(own=device.type == "cpu" and self.execution != "together")
        self.num_passes = self.options.T if self.execution == "low_memory" else 1
        self._batched: BatchedBlocks | None = None
        self._offloaded: OffloadedBlocks | None = None
        if self.execution == "together":
            self._batched = BatchedBlocks([self.net.blocks[t - 1] for t in self._local])
            self._block_optimizers = [make_optimizer([{"params": self._batched.parameters, STACKED: True}])]
            return
        self._block_optimizers = [make_optimizer(block.parameters()) for block in self.net.blocks]
        if self.execution == "low_memory":
            self._offloaded = OffloadedBlocks(self.net, self._block_optimizers)

    def _choose_execution(self, device: torch.device) -> str:
        """For `auto` few large operations on a GPU; on a CPU small ones that stay in the cache."""
        chosen = self.options.execution
        if chosen == "auto" and device.type == "cuda":
            return "together"
        return execution_on(device, len(self._local) if self.options.has_independent_blocks else 1, chosen)

    def training_state(self) -> dict[str, int]:
        """Where the streams of the blocks' random numbers are."""
        return self._streams.state()

    def set_training_state(self, state: dict[str, int]) -> None:
        """Go on from there."""
        self._streams.go_on(state)

    def offload(self) -> None:
        """With `low_memory`: all blocks."""
        if self._offloaded is not None:
            self._offloaded.offload()

    def start_pass(self, number: int) -> None:
        """With `low_memory`: from now on train one block, with the random numbers that it has in all executions."""
        if self.num_passes == 1:
            return
        if number == 0:
            self._first_step = self._streams.step
        self._streams.step = self._first_step
        self._active = [self._local[number]]

    def train(self, mode: bool = True) -> Self:
        """PyTorch's; ends the current pass."""
        self._active = self._local
        return super().train(mode)

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """All blocks once, then the shared parameters once, from the gradients of every term of equation 8."""
        self._streams.next_step()
        total = torch.zeros((), device=x.device)
        if self._batched is not None:
            with self._streams.enter(self._active[0]):
                total += self._train_batched(self._batched, x, y)
        else:
            for loss in self.train_blocks(self._active, x, y):
                total += loss
        if self._active[-1] == self._local[-1]:
            with self._streams.enter(0):
                shared = self.train_shared(y)
            if 1 in self._local:  # of several processes, one counts it
                total += shared
        return total

    def divide(self, ranks: int, rank: int) -> list[Sequence[nn.Module]] | None:
        """Blocks in rotation: process r has blocks r + 1, r + 1 + ranks, ...; each process trains the head.

        Raises:
            MethodError: blocks are not independent, the execution is low_memory, or there are fewer blocks than ranks.
        """
        self.options.require_independent_blocks("blocks are trained by several processes only with")
        if self.options.execution == "low_memory":
            raise MethodError(
                "option execution=low_memory is not accepted by several processes: give auto, in_turn, concurrent or "
                "together"
            )
        if ranks > self.options.T:
            raise MethodError(f"T={self.options.T} blocks are too few for {ranks} processes: each needs at least one")
        shares = [range(1 + r, self.options.T + 1, ranks) for r in range(ranks)]
        self._local = self._active = shares[rank]
        if self._make_optimizer is not None:
            self.set_up(self._make_optimizer)
        return [[self.net.blocks[t - 1] for t in share] for share in shares]

    def train_blocks(self, blocks: Sequence[int], x: Tensor, y: Tensor) -> list[Tensor]:
        """One update of each of these blocks alone, from its own loss; the losses, detached.

        The losses' gradients for shared parameters are left to `train_shared`. No other block is read or changed. A
        block is a number t = 1..T; it draws its numbers of the current step.
        """
        return self._trainer.train(
            blocks,
            self._streams,
            loss=lambda t: self.block_loss(t, x, y),
            optimizer=lambda t: self._block_optimizers[t - 1],
        )

    def block_loss(self, t: int, x: Tensor, y: Tensor) -> Tensor:
        """Block t's terms of equation 8 on a batch, t = 1..T: a scalar with its graph."""
        if self._offloaded is not None:
            self._offloaded.train(t)
        u = self.net.embedding(y)
        # Block t gets z_{t-1} (equation 8), which is what inference feeds it. Algorithm 1 of the paper samples z_t.
        z = self.schedule.sample(t - 1, u)
        return self._loss(t, self.net.estimate(t, x, z), u, y)

    def _train_batched(self, blocks: BatchedBlocks, x: Tensor, y: Tensor) -> Tensor:
        """`train_blocks` for all active blocks: the sum of the losses has each block's own gradients."""
        u = self.net.embedding(y)
        z = torch.stack([self.schedule.sample(t - 1, u) for t in self._active])
        estimates = zip(self._active, blocks(x, z, self.net.embedding.weight), strict=True)
        losses = torch.stack([self._loss(t, estimate, u, y) for t, estimate in estimates])
        return update(self._block_optimizers[0], losses.sum())

    def _loss(self, t: int, estimate: Tensor, u: Tensor, y: Tensor) -> Tensor:
        """The same from the block's estimate."""
        loss = self.denoising_loss(t, estimate, u)
        if t == self.options.T and self.options.classifier_input == "output":
            loss = loss + F.cross_entropy(self.net.head(estimate), y)
        return loss

    def train_shared(self, y: Tensor) -> Tensor:
        """Update the head and W_embed from the terms of equation 8 that belong to no block and what blocks left.

        These are E[-log p(y|z_T)], unless the last block has it, + KL(q(z_0|y) || N(0, I)), returned detached.
        """
        u = self.net.embedding(y)
        loss = self.schedule.kl_to_standard_normal(u).mean()
        if self.options.classifier_input == "sample":
            loss = loss + F.cross_entropy(self.net.head(self.schedule.sample(self.options.T, u)), y)
        if loss.requires_grad:  # not with a fixed embedding and a head that the last block trains
            backward(loss)
        self._shared_optimizer.step()
        self._shared_optimizer.zero_grad()
        return loss.detach()

    def optimizers(self) -> Iterator[Optimizer]:
        """Those of the blocks, then the shared one."""
        yield from self._block_optimizers
        yield self._shared_optimizer
