"""What arXiv 2503.24322 publishes about its methods, as far as a report needs it: `published/noprop.toml`.

And what others publish of their own implementations, `published/reproductions.toml`, and what the sources of the
layer-wise rules publish of their own networks, `published/rules.toml`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from results.schema import CellConfig

DatasetName = Literal["mnist", "cifar10", "cifar100"]
Embedding = Literal["onehot", "learned", "prototype"]
LEARNED_DIM = 20
"""Length of the learned embeddings of table 1 (`dim 20`)."""
EMBEDDINGS: dict[Embedding, str] = {"onehot": "one-hot", "learned": f"dim {LEARNED_DIM}", "prototype": "prototype"}
"""Our names of the embeddings, and those in the report."""


class _Fact(BaseModel):
    """A typo in the file is an error, not a fact that is silently missing."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AccuracyRow(_Fact):
    """A row of table 1."""

    row: str
    """The method as the paper calls it."""
    method: str | None = None
    """Our name of it; None where this project does not have it, or not as the paper's."""
    here: str | None = None
    """Our name of a method for which the paper quotes a figure without network and training: no comparison."""
    percent: dict[Embedding | Literal["any"], dict[DatasetName, Annotated[float, Field(gt=0, lt=100)]]]
    """Test accuracy by embedding (`any` for a method that has none) and data set."""


class MemoryRow(_Fact):
    """A row of table 2."""

    method: str
    gigabytes: dict[DatasetName, Annotated[float, Field(gt=0)]]
    """GPU memory of the process with one-hot embeddings."""


class TrainingRow(_Fact):
    """Training of a method, from table 3."""

    method: str
    optimizer: str
    epochs: dict[DatasetName, Annotated[int, Field(ge=1)]]
    options: dict[str, int | float]
    """Our options that the paper gives a value for."""


class SharedTraining(_Fact):
    """Training of every method, from table 3."""

    batch_size: int
    lr: float
    weight_decay: float


class Published(_Fact):
    """The whole file."""

    source: str
    version: str
    accuracy: list[AccuracyRow]
    gpu_memory: list[MemoryRow]
    training: list[TrainingRow]
    training_of_all: SharedTraining

    def training_of(self, method: str) -> TrainingRow | None:
        """Of a method by our name; None if the paper did not train it."""
        return next((row for row in self.training if row.method == method), None)

    def name_of(self, method: str) -> str | None:
        """What the paper calls a method of ours."""
        return next((row.row for row in self.accuracy if row.method == method), None)


class Reproduction(_Fact):
    """What somebody else's implementation reached."""

    by: str
    """The repository on GitHub."""
    method: str
    """Our name of it."""
    embedding: Embedding
    """The column of table 1 that the figures stand beside."""
    what: Literal["test", "validation"]
    percent: dict[DatasetName, Annotated[float, Field(gt=0, lt=100)]]
    """Accuracy on that part."""
    spread: dict[DatasetName, float] = {}
    """As printed behind ±."""


class SourceFigure(_Fact):
    """What the source of a layer-wise rule reached with its own fully connected network."""

    method: str
    """Our name of the rule."""
    source: str
    network: str
    percent: dict[DatasetName, Annotated[float, Field(gt=0, lt=100)]]
    """Test accuracy."""
    backprop: dict[DatasetName, Annotated[float, Field(gt=0, lt=100)]] = {}
    """The same of backpropagation through that network."""
    epochs: int | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One accuracy of table 1, and how long its method was trained (table 3)."""

    method: str
    """Our name of it."""
    row: str
    """The paper's."""
    embedding: Embedding
    percent: float
    epochs: int


@cache
def published() -> Published:
    """The paper's figures, from the file that is installed with this package."""
    return Published.model_validate(_read("noprop.toml"))


@cache
def reproductions() -> tuple[Reproduction, ...]:
    """Other people's figures, from the file beside it."""
    return tuple(Reproduction.model_validate(each) for each in _read("reproductions.toml")["reproduction"])


@cache
def source_figures() -> tuple[SourceFigure, ...]:
    """The figures of the rules' sources, from the file beside it."""
    return tuple(SourceFigure.model_validate(each) for each in _read("rules.toml")["figure"])


def source_figure(method: str, options: dict[str, Any]) -> SourceFigure | None:
    """The figure whose network a cell trains, by the registry's name and the options of its method; None for others."""
    if options.get("network") != "mlp":
        return None
    rule = options.get("mlp_of", method)
    return next((each for each in source_figures() if each.method == rule), None)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((resources.files("reports") / "published" / name).read_text(encoding="utf-8"))


def paper_dataset(dataset: str) -> DatasetName | None:
    """The paper's name of a data set of ours; None if it did not use it."""
    match = re.match(r"(mnist|cifar-?100?)(?![a-z0-9])", dataset.lower())
    names: dict[str, DatasetName] = {"mnist": "mnist", "cifar10": "cifar10", "cifar100": "cifar100"}
    return names[match[1].replace("-", "")] if match else None


def paper_epochs(dataset: str, method: str = "backprop") -> int | None:
    """Epochs for which the paper trained a method of ours on a data set; None if it did not."""
    name, training = paper_dataset(dataset), published().training_of(method)
    return training.epochs.get(name) if name and training else None


def table_1_entry(dataset: str, method: str, config: CellConfig) -> Entry | None:
    """The entry of table 1 for a cell: same data set, method (the registry's name), embedding and, for a stack, depth.

    None if there is none. Other options may differ from the paper's.
    """
    name, embedding = paper_dataset(dataset), paper_embedding(config.options)
    training = published().training_of(method)
    if name is None or embedding is None or training is None:
        return None
    if config.options.get("T") != training.options.get("T"):
        return None
    for row in published().accuracy:
        if row.method == method and (percent := row.percent.get(embedding, {}).get(name)) is not None:
            return Entry(method, row.row, embedding, percent, training.epochs[name])
    return None


def paper_embedding(options: dict[str, Any]) -> Embedding | None:
    """The paper's kind of embedding in a method's options; None for another kind, or for a method without."""
    kind = options.get("embedding")
    if kind == "learned" and options.get("embedding_dim") not in (None, LEARNED_DIM):
        return None
    return next((embedding for embedding in EMBEDDINGS if embedding == kind), None)
