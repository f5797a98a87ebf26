"""Somebody else's plug-in: a small data set and methods, most of which misbehave.

Never imported by the tests, so that nothing of it gets into their own registries: `harness.Plugin` copies it to
where the processes under test find it through the entry-point groups. ROGUE_FLAGS names a folder: files in it are how
tests and methods talk to each other.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from bench.datasets.registry import RawData
from bench.datasets.registry import register as register_dataset
from methods.core.method import MakeOptimizer, Method, TaskShape
from methods.core.options import Options
from methods.core.registry import register

FLAGS = Path(os.environ.get("ROGUE_FLAGS", "."))


@register_dataset(
    "halves",
    summary="noise, brighter on the left or on the right",
    class_names=("left", "right"),
    epochs={"quick": 1, "standard": 1, "paper": 1},
)
def load_halves(data_dir: Path | None) -> RawData:
    """Two classes of 8x8 images, (N, 1, 8, 8), that a nearest mean tells apart."""
    labels = np.arange(200, dtype=np.int64) % 2
    images = np.random.default_rng(0).integers(0, 128, (200, 1, 8, 8), dtype=np.uint8)
    images[labels == 0, :, :, :4] += 100
    images[labels == 1, :, :, 4:] += 100
    return RawData(images[:160], labels[:160], images[160:], labels[160:], "made here", verified=None, partial=False)


@register("steady")
class Steady(Method):
    """Nearest class mean: well behaved, and no optimiser to import."""

    summary: ClassVar[str] = "nearest class mean"
    epoch_definition: ClassVar[str] = "one pass over the training images, in which the means move towards them"

    def __init__(self, shape: TaskShape, options: Options) -> None:
        super().__init__(shape, options)
        start = torch.randn(shape.num_classes, shape.channels * shape.height * shape.width)
        self.means = nn.Parameter(start, requires_grad=False)

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """Nothing to set up."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Move the means towards the batch's; the loss is their mean squared distance from it."""
        flat = x.flatten(1)
        for label in set(y.tolist()):
            self.means[label] = self.means[label].lerp(flat[y == label].mean(dim=0), 0.5)
        return (flat - self.means[y]).square().mean()

    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Minus the distance from each mean."""
        return -torch.cdist(x.flatten(1), self.means)

    def optimizers(self) -> Iterator[Optimizer]:
        """None."""
        return iter(())

    def stack(self) -> Iterable[nn.Module]:
        """Nothing shared by design."""
        return []


@register("raises")
class Raises(Steady):
    """Raises, with a message of two lines."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Raise."""
        raise RuntimeError("no such\nluck")


@register("moody")
class Moody(Steady):
    """Raises as long as the flag `moody` is there."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Raise, or train."""
        if (FLAGS / "moody").exists():
            raise RuntimeError("not today")
        return super().train_step(x, y)


@register("dies")
class Dies(Steady):
    """Is killed."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Say a last word, and go."""
        os.write(2, b"a last word\n")
        os.kill(os.getpid(), signal.SIGKILL)
        return super().train_step(x, y)


@register("leaves")
class Leaves(Steady):
    """Ends its process without a word."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Go."""
        os._exit(3)


@register("quits")
class Quits(Steady):
    """Ends its process without a word, as if all were well."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Go."""
        os._exit(0)


@register("resigns")
class Resigns(Steady):
    """Ends its process as if all were well, and has left a thread in every process that builds it."""

    def __init__(self, shape: TaskShape, options: Options) -> None:
        super().__init__(shape, options)
        threading.Thread(target=threading.Event().wait).start()

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Go."""
        raise SystemExit(0)


@register("diverges")
class Diverges(Steady):
    """Learns, but reports a loss that is no number."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Train."""
        return super().train_step(x, y) * float("nan")


@register("litters")
class Litters(Steady):
    """Learns, but prints to standard output, and leaves a grandchild behind."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Train."""
        print('{"kind": "result"}')
        os.write(1, b"from below Python\n")
        subprocess.Popen(["sleep", "600"])
        return super().train_step(x, y)


@register("waits")
class Waits(Steady):
    """Hangs in the middle of training as long as the flag `hold` is there, and raises the flag `waiting`."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Wait, then train."""
        while (FLAGS / "hold").exists():
            written = FLAGS / "waiting.part"
            written.write_text(str(os.getpid()))
            written.replace(FLAGS / "waiting")  # the flag is there with its content or not at all
            time.sleep(0.02)
        return super().train_step(x, y)


@register("allocates")
class Allocates(Steady):
    """Touches 300 MiB in each step, and lets go of them."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Allocate, then train."""
        touched = torch.ones(300 * 2**20, dtype=torch.uint8)
        del touched
        return super().train_step(x, y)


@register("holds")
class Holds(Steady):
    """Holds a tensor of 5 MiB for its backward pass."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Hold, then train."""
        held = torch.ones(5 * 2**18, requires_grad=True)
        held.square().sum().backward()  # squaring keeps its input
        return super().train_step(x, y)


@register("deserts")
class Deserts(Steady):
    """Has a part for each process, none of which needs the others; the process of rank 1 is killed."""

    def divide(self, ranks: int, rank: int) -> list[list[nn.Module]] | None:
        """Nothing to divide."""
        return [[] for _ in range(ranks)]

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """On rank 1 go; elsewhere train."""
        if os.environ.get("RANK") == "1":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().train_step(x, y)


@register("dawdles")
class Dawdles(Steady):
    """Takes 10 ms more for a step."""

    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Sleep, then train."""
        time.sleep(0.01)
        return super().train_step(x, y)
