"""`python -m bench.new method NAME` and `python -m bench.new dataset NAME`: a package to start from, in a new folder.

Exit codes: 0 written; 2 the name cannot be used or is taken, or the folder is there already, and nothing was written.
"""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import click

from bench.commandline.exit_codes import exits
from bench.commandline.help import Command, group
from bench.errors import UserError
from results.ending import Folder

METHOD = '''"""A linear classifier with a local rule, Widrow and Hoff's (1960): a weight sees its input and its error.

delta W = (onehot(y) - softmax(W x + b)) x^T,   averaged over the batch
"""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from methods.core.method import MakeOptimizer, Method, TaskShape
from methods.core.options import Options
from methods.core.registry import register


@register("NAME")  # what people type
class CLASS(Method):
    """One linear layer on the pixels."""

    summary = "a linear classifier with a local rule"
    epoch_definition = "one pass over the training images; each batch updates the layer once"
    credit = "the output's error, and nothing else"

    def __init__(self, shape: TaskShape, options: Options) -> None:
        super().__init__(shape, options)
        self.linear = nn.Linear(shape.channels * shape.height * shape.width, shape.num_classes)

    def set_up(self, make_optimizer: MakeOptimizer) -> None:
        """One optimiser: the run's, with its learning rate and weight decay."""
        self.optimizer = make_optimizer(self.parameters())

    @torch.no_grad()  # the rule needs no backward pass
    def train_step(self, x: Tensor, y: Tensor) -> Tensor:
        """Images (batch, channels, height, width) and labels (batch,); returns the cross-entropy, a scalar."""
        logits = self.linear(x.flatten(1))
        error = (logits.softmax(dim=1) - F.one_hot(y, self.shape.num_classes)) / len(y)
        self.linear.weight.grad = error.T @ x.flatten(1)  # what the optimiser goes down
        self.linear.bias.grad = error.sum(dim=0)
        self.optimizer.step()
        self.optimizer.zero_grad()  # gradients are not left behind
        return F.cross_entropy(logits, y)

    @torch.no_grad()
    def predict(self, x: Tensor, generator: Generator) -> Tensor:
        """Logits (batch, classes); whatever is random here must come from the generator."""
        return self.linear(x.flatten(1))

    def optimizers(self) -> Iterator[Optimizer]:
        """All optimisers; together they have every parameter once, but for those with requires_grad_(False)."""
        yield self.optimizer

    def stack(self) -> Iterable[nn.Module]:
        """The modules that are trained, for comparing numbers of parameters."""
        return [self.linear]
'''
DATASET = '''"""Stripes across or along, made by a formula."""

from pathlib import Path

from bench.datasets.registry import RawData, register


@register(
    "NAME",  # what people type
    summary="1,000 + 200 images of stripes, 8x8 grey (made by a formula)",
    class_names=("across", "along"),
    epochs={"quick": 1, "standard": 5, "paper": 20},  # for each preset
    flip=True,  # a mirrored image is still of its class
)
def load(data_dir: Path | None) -> RawData:
    """Make or read the images; `data_dir` is the folder given with --data-dir, if any."""
    import numpy as np  # here, so that looking up a data set stays fast

    random = np.random.default_rng(0)
    labels = np.arange(1200) % 2
    across = np.broadcast_to(np.arange(8)[:, None] % 2 * 200, (8, 8))
    images = np.where(labels[:, None, None] == 0, across, across.T) + random.integers(0, 55, (1200, 8, 8))
    images = images.astype(np.uint8)[:, None]  # uint8, (N, channels, height, width)
    return RawData(  # training images and labels, test images and labels
        images[:1000], labels[:1000], images[1000:], labels[1000:], source="a formula", verified=None, partial=False
    )
'''
PROJECT = """[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "NAME"
version = "0.1.0"

[project.entry-points."noprop_bench.KINDs"]  # by this, NoProp-Bench finds it once it is installed
NAME = "MODULE"

[tool.setuptools]
py-modules = ["MODULE"]
"""


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(["method", "dataset"]))
@click.argument("name")
@group("Output")("--out", type=Folder(), default=Path(), show_default="here", help="Parent folder of the new one.")
def cli(kind: str, name: str, out: Path) -> None:
    """Write a commented method or data set, as a small package in a new folder."""
    if not re.fullmatch(r"[a-z][a-z0-9]*([-_][a-z0-9]+)*", name):  # it names a Python module, too
        raise UserError(f"{name!r} cannot name a {kind}: use lower-case letters, digits, '-' and '_', a letter first")
    module, folder = name.replace("-", "_"), out / name
    _check_free(kind, name, module)
    title = "".join(word.capitalize() for word in module.split("_"))
    source = METHOD if kind == "method" else DATASET
    filled = {f"{module}.py": source.replace("CLASS", title).replace("NAME", name)}
    filled["pyproject.toml"] = PROJECT.replace("NAME", name).replace("KIND", kind).replace("MODULE", module)
    try:
        folder.mkdir(parents=True)
        for file, text in filled.items():
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot make the folder {folder}: {error.strerror or error}") from None
    print(*(folder / file for file in filled), sep="\n")
    look = f"bench.check {name}" if kind == "method" else f"bench.data {name}"
    flag = f"--methods {name},backprop" if kind == "method" else f"--datasets {name}"
    print(f"then: python -m pip install -e {folder}; python -m {look}; python -m bench.run {flag}")


def _check_free(kind: str, name: str, module: str) -> None:
    """Refuse a name that could not be registered, or imported.

    Raises:
        UserError: it is such a name.
    """
    from bench import datasets
    from methods.core import registry

    try:
        registry.check_name(name, kind)
    except ValueError as error:
        raise UserError(str(error)) from None
    if registry.is_taken(name) if kind == "method" else name in datasets.available() | datasets.schemes():
        raise UserError(f"there is a {kind} named {name!r} already: choose another name")
    spec = find_spec(module)
    if spec is not None and spec.origin is not None:  # the latter: a mere folder of that name
        raise UserError(f"there is a Python module named {module!r} already: choose another name")


main = exits(cli, "python -m bench.new")

if __name__ == "__main__":
    main()
