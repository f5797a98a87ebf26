"""Trained models on disk: safetensors with a header that says how to build and feed the model. Nothing is unpickled."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import Annotated, Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError, model_validator
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

import methods
from bench.errors import UserError
from methods.core.method import Method, TaskShape
from results.files import cell_stem, is_file, write_aside
from results.past_names import MethodLabel
from results.past_options import with_past_options
from results.store import first_problem

FOLDER = "models"
"""Of a run's folder."""
_KEY, _SUM_KEY = "noprop-bench", "sha256"
"""The header's keys of `ModelCard` as JSON and of `_checksum`, which the oldest files have not."""
_COPIES = 4
"""Building a model allocates its parameters, and some of them again to initialise them: at most so many times."""
_SPARE_NUMBERS = 8_000_000
"""What a model may allocate besides, such as tables that are not saved."""

_Size = Annotated[int, Field(ge=1, le=2**16)]
_Text = Annotated[str, Field(max_length=1000)]


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    channels: _Size
    height: Annotated[int, Field(ge=1, le=2**12)]
    width: Annotated[int, Field(ge=1, le=2**12)]
    num_classes: _Size


class ModelCard(BaseModel):
    """A model file's header."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    method_name: Annotated[MethodLabel, Field(max_length=1000)]
    """The registry's name."""
    options: dict[_Text, Any]
    """Every option of the method with its effective value."""
    shape: _Shape
    class_names: list[_Text]
    """In the order of the logits."""
    mean: list[FiniteFloat]
    """Per channel, in [0, 1] pixel units: subtracted from an image first."""
    std: list[Annotated[FiniteFloat, Field(gt=0)]]
    """Per channel: divides the difference."""
    dataset: str
    seed: int
    epochs: int
    val_accuracy: float
    test_accuracy: float
    commit: str | None
    """Of the project that trained it."""

    @model_validator(mode="before")
    @classmethod
    def _read_past(cls, record: Any) -> Any:
        return with_past_options(record)


@dataclass(frozen=True)
class TrainedModel:
    """A model ready to predict."""

    card: ModelCard
    method: Method


def model_path(dataset: str, method: str, seed: int) -> Path:
    """Where a cell's model goes, relative to the run's folder."""
    return Path(FOLDER) / f"{cell_stem(dataset, method, seed)}.safetensors"


def save_model(path: Path, method: Method, card: ModelCard) -> None:
    """Write a model, whole or not at all.

    Raises:
        OSError: it cannot be written, or the run's folder is not on this machine.
    """
    path.parent.mkdir(exist_ok=True)
    # Cloned: parameters that share their memory could not be saved.
    state = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in method.state_dict().items()
    }
    text = card.model_dump_json()
    try:
        with write_aside(path) as aside:
            save_file(state, aside, metadata={_KEY: text, _SUM_KEY: _checksum(text, state)})
    except SafetensorError as error:
        raise OSError(str(error)) from error


def load_model(path: Path, device: torch.device | None = None) -> TrainedModel:
    """Read a model that `save_model` wrote.

    Raises:
        UserError: no such file, a damaged or foreign one, or a method that is not installed.
    """
    if not is_file(path):
        raise UserError(f"there is no model file {str(path)!r}")
    try:
        with safe_open(path, framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            card = _card(path, header)
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a model that can be read: {error}") from None
    if header.get(_SUM_KEY, expected := _checksum(header[_KEY], state)) != expected:
        raise UserError(f"{path} is damaged: its contents do not match their checksum")
    method = _build(path, card, state)
    method.load_state_dict(state)
    return TrainedModel(card, method.to(device or "cpu").eval())


def _checksum(text: str, state: dict[str, Tensor]) -> str:
    """SHA-256 of the card and of the tensors' names, types, shapes and bytes."""
    digest = hashlib.sha256(text.encode())
    for name, tensor in sorted(state.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _card(path: Path, header: dict[str, str]) -> ModelCard:
    text = header.get(_KEY)
    if text is None:
        raise UserError(f"{path} is not a model of this project: train one with 'python -m bench.run --save'")
    try:
        card = ModelCard.model_validate_json(text)
    except ValidationError as error:
        version = _version(text)
        if version not in (None, 1):
            raise UserError(f"{path} is a model of version {version}; this program reads version 1") from None
        raise UserError(f"{path} has a damaged header: {first_problem(text, error)}") from None
    sizes = {len(card.mean), len(card.std)}
    if sizes != {card.shape.channels} or len(card.class_names) != card.shape.num_classes:
        raise UserError(f"{path} has a damaged header: names or normalisation do not fit its {card.shape}")
    return card


def _version(text: str) -> object:
    try:
        return json.loads(text).get("version")
    except (ValueError, AttributeError, RecursionError):
        return None


def _build(path: Path, card: ModelCard, state: dict[str, Tensor]) -> Method:
    """The method that the card describes, if the file holds exactly its tensors.

    A header may ask for gigabytes that the file does not hold, so the file's size bounds what building may allocate.
    """
    does_not_hold = f"{path} does not hold the tensors of the {card.method_name} that its header describes"
    held = sum(tensor.numel() for tensor in state.values())
    try:
        cls = methods.get(card.method_name)
        options = cls.Options.parse(card.options)
        with torch.random.fork_rng(devices=[]), AllocationLimit(_COPIES * held + _SPARE_NUMBERS):
            method = cls(TaskShape(**card.shape.model_dump()), options)
    except methods.MethodError as error:
        raise UserError(f"{path}: {error}") from None
    except AllocationLimitError:
        raise UserError(does_not_hold) from None
    except Exception as error:  # whatever a constructor makes of values that no plan has checked
        why = shorten(str(error), 200)
        raise UserError(f"{path} has a header from which no {card.method_name} can be built: {why}") from None
    if _kinds(method.state_dict()) != _kinds(state):
        raise UserError(does_not_hold)
    return method


def _kinds(state: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in state.items()}


class AllocationLimitError(Exception):
    """More memory was asked for than is allowed; the request that went too far was not allocated."""


class AllocationLimit(TorchDispatchMode):
    """Bounds how many numbers code may allocate whose sizes come from an untrusted file, over all new tensors.

    Whatever makes a tensor from sizes alone (`empty`, `randn`, `eye`, `linspace`, ...) is first tried on the meta
    device, where tensors have sizes but no memory. Results computed from tensors are not counted: their size follows
    from their inputs.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._left = numbers

    def __torch_dispatch__(
        self, func: OpOverload[..., Any], types: Sequence[type], args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run an operation if what it allocates is still allowed.

        Raises:
            AllocationLimitError: it is not.
        """
        kwargs = kwargs or {}
        if any(argument.name == "device" for argument in func._schema.arguments):
            tried = kwargs | {"device": "meta"}
            if "generator" in tried:
                tried["generator"] = None  # the trial must not draw
            self._left -= func(*args, **tried).numel()
            if self._left < 0:
                raise AllocationLimitError("it asks for more memory than is allowed")
        return func(*args, **kwargs)
