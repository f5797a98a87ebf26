"""Trained models on disk: safetensors with a header that says how to build and feed the model. Nothing is unpickled."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

import methods
from bench.errors import UserError
from methods.method import Method, TaskShape

FOLDER = "models"
"""Of a run's folder."""
_KEY = "noprop-bench"
"""Under which the header holds `ModelCard` as JSON."""

_Size = Annotated[int, Field(ge=1, le=2**16)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: _Size
    height: _Size
    width: _Size
    num_classes: _Size


class ModelCard(BaseModel):
    """What the header says of a model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    method_name: str
    """The registry's name."""
    options: dict[str, Any]
    """Every option of the method with its effective value."""
    shape: _Shape
    class_names: list[str]
    """In the order of the logits."""
    mean: list[float]
    """Per channel, in [0, 1] pixel units: subtracted from an image first."""
    std: list[float]
    """Per channel: divides it then."""
    dataset: str
    seed: int
    epochs: int
    val_accuracy: float
    test_accuracy: float
    commit: str | None
    """Of the project that trained it."""


@dataclass(frozen=True)
class TrainedModel:
    """A model ready to predict."""

    card: ModelCard
    method: Method


def model_path(dataset: str, method: str, seed: int) -> Path:
    """Where a cell's model goes, relative to the run's folder: one name for each cell, whatever its label."""
    label = re.sub(r"[^A-Za-z0-9=.,_-]", "_", f"{dataset}-{method}-seed{seed}")
    return Path(FOLDER) / f"{label}.safetensors"


def save_model(path: Path, method: Method, card: ModelCard) -> None:
    """Write a model; what stands at `path` is a whole file at every moment.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    state = {name: tensor.detach().cpu().contiguous() for name, tensor in method.state_dict().items()}
    unfinished = path.with_suffix(".part")
    try:
        save_file(state, unfinished, metadata={_KEY: card.model_dump_json()})
        unfinished.replace(path)
    except SafetensorError as error:
        raise OSError(str(error)) from error
    finally:
        unfinished.unlink(missing_ok=True)


def load_model(path: Path, device: torch.device | None = None) -> TrainedModel:
    """Read a model that `save_model` wrote.

    Raises:
        UserError: no such file, a damaged or foreign one, or a method that is not installed.
    """
    if not path.is_file():
        raise UserError(f"there is no model file {str(path)!r}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            card = _card(path, file.metadata())
            shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
            method = _build(path, card, shapes)
            method.load_state_dict({name: file.get_tensor(name) for name in shapes})
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a model that can be read: {error}") from None
    return TrainedModel(card, method.to(device or "cpu").eval())


def _card(path: Path, metadata: dict[str, str] | None) -> ModelCard:
    text = (metadata or {}).get(_KEY)
    if text is None:
        raise UserError(f"{path} is not a model of this project: train one with 'python -m bench.run --save'")
    try:
        card = ModelCard.model_validate_json(text)
    except ValidationError as error:
        version = _version(text)
        if version not in (None, 1):
            raise UserError(f"{path} is a model of version {version}; this program reads version 1") from None
        first = error.errors()[0]
        raise UserError(f"{path} has a damaged header: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    sizes = {len(card.mean), len(card.std)}
    if sizes != {card.shape.channels} or len(card.class_names) != card.shape.num_classes or 0 in card.std:
        raise UserError(f"{path} has a damaged header: names or normalisation do not fit its {card.shape}")
    return card


def _version(text: str) -> object:
    try:
        return json.loads(text).get("version")
    except (ValueError, AttributeError, RecursionError):
        return None


def _build(path: Path, card: ModelCard, shapes: dict[str, tuple[int, ...]]) -> Method:
    """The method that the card describes, if the file holds exactly its tensors.

    It is built on the meta device first, where tensors have shapes but no memory: a header that asks for more than the
    file holds is found out before anything of that size is made.
    """
    try:
        cls = methods.get(card.method_name)
        options = cls.Options.parse(card.options)
    except methods.MethodError as error:
        raise UserError(f"{path}: {error}") from None
    depth = getattr(options, "T", 1)
    shape = TaskShape(**card.shape.model_dump())
    if depth <= len(shapes):  # each block has a tensor or more
        try:
            with torch.device("meta"):
                planned = {name: tuple(tensor.shape) for name, tensor in cls(shape, options).state_dict().items()}
        except methods.MethodError as error:
            raise UserError(f"{path}: {error}") from None
        if planned == shapes:
            return cls(shape, options)
    raise UserError(f"{path} does not hold the tensors of the {card.method_name} that its header describes")
