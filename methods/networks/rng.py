"""Random numbers of parts that train apart: each draws its own, whatever the others do, before, after or beside it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Generator

_OWN: ContextVar[Generator | None] = ContextVar("generator", default=None)


def current() -> Generator | None:
    """The generator of this thread's draws in a training step; None: PyTorch's own."""
    return _OWN.get()


class Streams:
    """A seed of its own for every step and part, derived from PyTorch's state at the first step.

    So a block's noise and dropout are the same whether the other blocks are trained before it, at the same time,
    elsewhere, or not at all.
    """

    def __init__(self, *, own: bool = False) -> None:
        """Drawn by PyTorch's generators or, the same numbers on the CPU, each part's by a generator of its own.

        PyTorch's are shared by all threads, and the only ones for what does not ask for `current`.
        """
        self._own = own
        self._base: int | None = None
        self.step = -1
        """The current one; set it back to draw the numbers of the steps after it again."""

    def next_step(self) -> None:
        """Begin a new step."""
        if self._base is None:
            self._base = int(torch.randint(2**31, ()))
        self.step += 1

    def state(self) -> dict[str, int]:
        """For `go_on`; empty before the first step."""
        return {} if self._base is None else {"base": self._base, "step": self.step}

    def go_on(self, state: dict[str, int]) -> None:
        """Draw the numbers after those that had been drawn when `state` said this."""
        self._base, self.step = state["base"], state["step"]

    @contextmanager
    def enter(self, part: int) -> Iterator[None]:
        """Inside, this thread draws this part's numbers of this step."""
        if not self._own:
            # Not torch.manual_seed, which takes a stack trace for each kind of device that is not there.
            torch.default_generator.manual_seed(self._seed(part))
            if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
                torch.cuda.manual_seed_all(self._seed(part))
            yield
            return
        token = _OWN.set(Generator().manual_seed(self._seed(part)))
        try:
            yield
        finally:
            _OWN.reset(token)

    def _seed(self, part: int) -> int:
        assert self._base is not None
        digest = hashlib.blake2b(f"{self._base} {self.step} {part}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) >> 1
