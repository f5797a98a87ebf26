"""Parts that share nothing, trained in turn or, on the CPU, several at a time: a Python thread for each.

PyTorch lets go of the interpreter's lock inside its operations, a backward pass runs on the thread that calls it, and
the number of threads of an operation is a setting of the thread that calls it. So parts wait for one another only where
the interpreter's lock or the memory is busy, and there is no barrier at which one waits for a thread without a core.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from methods.core.end_to_end import update
from methods.core.errors import MethodError
from methods.networks.rng import Streams

_ON_ONE_THREAD: ContextVar[bool] = ContextVar("on one thread", default=False)


@contextmanager
def on_one_thread() -> Iterator[None]:
    """Inside, all is computed by the calling thread, for meters that see no other.

    What is computed is the same, and so is what is held at most.
    """
    token = _ON_ONE_THREAD.set(True)
    try:
        yield
    finally:
        _ON_ONE_THREAD.reset(token)


def parts_at_once(parts: int, threads: int) -> int:
    """How many to train at a time: as few as keep the rounds that it takes with a thread for each part."""
    rounds = -(-parts // threads)
    return -(-parts // rounds)


def execution_on(device: torch.device, parts: int, chosen: str = "auto") -> str:
    """What an option `execution` means for so many independent parts, with PyTorch's current number of threads.

    Raises:
        MethodError: concurrent is chosen, and the device is a GPU.
    """
    if chosen == "auto":
        several = device.type == "cpu" and parts_at_once(parts, torch.get_num_threads()) > 1
        return "concurrent" if several else "in_turn"
    if chosen == "concurrent" and device.type != "cpu":
        raise MethodError("option execution=concurrent is not accepted on a GPU: it takes threads of a CPU; give auto")
    return chosen


class PartTrainer:
    """Trains parts that share nothing, `at_once` at a time."""

    def __init__(self, at_once: int = 1, threads: int = 1) -> None:
        """With so many threads in all. Python's threads start with the first step, and end with this object.

        One part at a time is trained by the calling thread, with the threads that it has.
        """
        self.at_once, self._threads = at_once, threads
        self._pool: ThreadPoolExecutor | None = None

    @classmethod
    def of(cls, execution: str, parts: int) -> "PartTrainer":
        """For `execution_on`'s answer: whatever is not concurrent is in turn."""
        threads = torch.get_num_threads()
        return cls(parts_at_once(parts, threads), threads) if execution == "concurrent" else cls()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has threads of its own."""
        return PartTrainer, (self.at_once, self._threads)

    def train(
        self,
        parts: Sequence[int],
        streams: Streams,
        loss: Callable[[int], Tensor],
        optimizer: Callable[[int], Optimizer],
    ) -> list[Tensor]:
        """One update of each part from its loss; the losses, detached, in the parts' order.

        What a part raises is raised here, once the parts in hand are done; no other is begun then.

        Args:
            parts: Their numbers.
            streams: Of the numbers that a part's loss draws, those of the current step.
            loss: A part's loss, with its graph.
            optimizer: A part's optimiser.
        """

        def drawn(part: int) -> Tensor:
            with streams.enter(part):
                return loss(part)

        if self.at_once == 1 or _ON_ONE_THREAD.get():
            groups = [parts[k : k + self.at_once] for k in range(0, len(parts), self.at_once)]
            return [
                update(optimizer(part), its)
                for group in groups
                for part, its in zip(group, [drawn(part) for part in group], strict=True)
            ]
        if self._pool is None:
            self._pool = _pool(self.at_once, self._threads // self.at_once)
        left, losses, modes = deque(parts), dict[int, Tensor](), _modes_of_this_thread()

        def work() -> None:
            try:
                with ExitStack() as stack:
                    for mode in modes:
                        stack.enter_context(mode())
                    while left:
                        try:
                            part = left.popleft()
                        except IndexError:  # another thread was faster
                            return
                        losses[part] = update(optimizer(part), drawn(part))
            finally:
                left.clear()

        try:
            workers = [self._pool.submit(work) for _ in range(self.at_once)]
            wait(workers)
        finally:
            left.clear()  # Ctrl-C does not wait for what is in hand
        for worker in workers:
            worker.result()
        return [losses[part] for part in parts]


def _modes_of_this_thread() -> list[Callable[[], Any]]:
    """What another thread has to enter to compute as this one does."""
    modes: list[Callable[[], Any]] = []
    if not torch.is_grad_enabled():
        modes.append(torch.no_grad)
    if torch.is_autocast_enabled("cpu"):
        dtype, cached = torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled()
        modes.append(lambda: torch.autocast("cpu", dtype=dtype, cache_enabled=cached))
    return modes


def _pool(number: int, threads: int) -> ThreadPoolExecutor:
    """So many Python threads, whose operations use so many threads each."""
    own = torch.get_num_threads()
    pool = ThreadPoolExecutor(number, thread_name_prefix="part")
    all_there = threading.Barrier(number)

    def prepare() -> None:
        all_there.wait()
        torch.get_num_threads()  # the first call takes up the process's number, which would undo a setting before it
        torch.set_num_threads(threads)

    wait([pool.submit(prepare) for _ in range(number)])
    torch.set_num_threads(own)  # also the process's number, with which threads to come start
    return pool
