"""The processes (ranks) of one cell: what each of them trains, and the bytes that they exchange."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.futures import Future
from torch.nn.parallel import DistributedDataParallel

from bench.training.loop import Learner, TrainedEpoch
from methods import MethodError
from methods.core.end_to_end import EndToEnd
from methods.core.method import Method

_FOREVER = timedelta(days=365)
"""A rank may evaluate for as long as it likes while the others wait; `RankGroup` tells them if one fails."""
_GRACE_SECONDS = 2.0
"""An exchange that breaks off is the other side's fault, which says so itself within this time."""


class Ranks:
    """This process and those that train the same cell with it; a cell of one process exchanges nothing.

    A method with blocks that train apart (`Method.divide`) is divided: processes exchange nothing while they train,
    and rank 0 is sent the others' blocks to evaluate. Any other method with one loss is replicated: each batch is
    divided among the processes, and gradients are averaged (`DistributedDataParallel`).
    """

    def __init__(self, rank: int = 0, size: int = 1, device: torch.device | None = None) -> None:
        self.size = size
        self.leads = rank == 0
        """Whether this process evaluates and returns the cell's result."""
        self.bytes_in_training = 0
        """Gradients that this process has sent to be averaged since the method was shared."""
        self.bytes_for_evaluation = 0
        """Blocks and figures that this process has sent to rank 0."""
        self.rank = rank
        self._device = device
        self._division: list[Sequence[nn.Module]] | None = None

    def share(self, method: Method) -> Learner:
        """Give this process its part in training the method, from now on.

        Raises:
            MethodError: it can be neither divided nor replicated.
        """
        self.bytes_in_training = self.bytes_for_evaluation = 0
        if self.size == 1:
            return method
        self._division = share_of(method, self.size, self.rank)
        if self._division is not None:
            return method
        assert isinstance(method, EndToEnd)
        return _Replica(method, self, self.rank, self._device)

    def meet(self) -> None:
        """Wait for the others, to train at the same time."""
        if self.size > 1:
            dist.barrier()

    def as_lead(self, decision: bool) -> bool:
        """Rank 0's decision, on all ranks."""
        if self.size == 1:
            return decision
        told = torch.tensor(int(decision), device=self._device)
        dist.broadcast(told, src=0)
        return bool(told)

    def least(self, number: int) -> int:
        """The least of all ranks' numbers, on all ranks."""
        if self.size == 1:
            return number
        least = torch.tensor(number, device=self._device)
        dist.all_reduce(least, dist.ReduceOp.MIN)
        return int(least)

    def collect(self, trained: TrainedEpoch, *, with_parts: bool) -> TrainedEpoch:
        """After an epoch, on all ranks: rank 0 gets the whole loss and the slowest rank's seconds.

        With `with_parts` it also gets the trained blocks, since it is about to evaluate.
        """
        if self.size == 1:
            return trained
        for rank, modules in enumerate(self._division or []):
            if with_parts and rank > 0:
                self._send_to_lead(modules, rank)
        own = torch.tensor([trained.loss, trained.seconds], dtype=torch.float64, device=self._device)
        gathered = [torch.empty_like(own) for _ in range(self.size)] if self.leads else None
        dist.gather(own, gathered)
        if gathered is None:
            self.bytes_for_evaluation += own.nbytes
            return trained
        losses, seconds = torch.stack(gathered).T.tolist()
        loss = sum(losses) if self._division is not None else sum(losses) / self.size
        return replace(trained, loss=loss, seconds=max(seconds))

    def leave(self) -> None:
        """Exchange nothing any more."""
        if self.size > 1:
            dist.destroy_process_group()

    @torch.no_grad()
    def _send_to_lead(self, modules: Sequence[nn.Module], owner: int) -> None:
        """The state of modules from the rank that trains them to rank 0's copy of them."""
        if self.rank not in (0, owner):
            return
        for tensor in (tensor for module in modules for tensor in module.state_dict().values()):
            flat = tensor.contiguous()  # convolutions are stored channels last
            if self.leads:
                flat = torch.empty_like(flat)
                dist.recv(flat, src=owner)
                tensor.copy_(flat)
            else:
                dist.send(flat, dst=0)
                self.bytes_for_evaluation += flat.nbytes


def share_of(method: Method, ranks: int, rank: int = 0) -> list[Sequence[nn.Module]] | None:
    """Divide the method, where it can be; None: it cannot, but it can be replicated.

    Raises:
        MethodError: neither.
    """
    division = method.divide(ranks, rank)
    if division is None and ranks > 1 and not isinstance(method, EndToEnd):
        raise MethodError(
            f"{method.name} is not accepted with --parallel blocks: it has neither parts that train apart nor one loss "
            "and one optimiser, with which it could be replicated; leave it out of --methods"
        )
    return division


@contextmanager
def joined(group: str | None, device: torch.device) -> Iterator[Ranks]:
    """Meet the other ranks of this cell through torchrun's store, under the cell's own keys; None: there are none.

    Gloo carries tensors of a CPU, NCCL those of cards.
    """
    size = int(os.environ["WORLD_SIZE"]) if group is not None else 1
    if group is None or size == 1:
        yield Ranks()
        return
    rank = int(os.environ["RANK"])
    store = dist.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    on_card = device.type == "cuda"
    if on_card:
        torch.cuda.set_device(device)
    dist.init_process_group(
        "nccl" if on_card else "gloo",
        store=dist.PrefixStore(f"noprop-bench/{group}/exchange", store),
        rank=rank,
        world_size=size,
        timeout=_FOREVER,
    )
    try:
        yield Ranks(rank, size, device)
    except Exception:
        time.sleep(_GRACE_SECONDS)
        raise


class _Loss(nn.Module):
    """The loss as a module's forward pass, for `DistributedDataParallel`."""

    def __init__(self, method: EndToEnd) -> None:
        super().__init__()
        self.method = method

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """`EndToEnd.loss`."""
        return self.method.loss(x, y)


class _Replica:
    """A whole method, trained on this process's part of each batch with averaged gradients."""

    def __init__(self, method: EndToEnd, ranks: Ranks, rank: int, device: torch.device | None) -> None:
        self._method = method
        self._ranks = ranks
        self._mine = slice(rank, None, ranks.size)
        cards = [device] if device is not None and device.type == "cuda" else None
        # All start from the same seed, so nothing needs to be sent first. Running statistics are each process's own:
        # rank 0's count, as they would if it sent them to the others before each step.
        self._network = DistributedDataParallel(
            _Loss(method), device_ids=cards, broadcast_buffers=False, init_sync=False, static_graph=True
        )

        # A lambda, since the network refuses a hook whose annotations are text, as they are in this module.
        self._network.register_comm_hook(dist.group.WORLD, lambda group, bucket: self._average(group, bucket))
        torch.manual_seed(torch.initial_seed() + rank)  # other images, so other noise and dropout

    def _average(self, group: dist.ProcessGroup, bucket: dist.GradBucket) -> Future[Tensor]:
        self._ranks.bytes_in_training += bucket.buffer().nbytes
        return allreduce_hook(group, bucket)

    num_passes = 1

    def start_pass(self, number: int) -> None:
        """One loss, one pass."""

    def train(self) -> object:
        """Of the network, and the method in it."""
        return self._network.train()  # type: ignore[no-untyped-call]

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """One update from this process's part of the batch; the mean over ranks is the loss."""
        labels = y[self._mine]
        share = len(labels) * self._ranks.size / len(y)  # 1 where the batch divides evenly
        return self._method.update(share * self._network(x[self._mine], labels))
