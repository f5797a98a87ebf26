"""The optimisers that a cell's configuration may name, without PyTorch's compiler.

PyTorch marks some calls of its optimisers as not to be compiled, and the first of them imports the compiler for that.
The import is slow, every cell has a process of its own, and no method is compiled.
"""

import inspect
from typing import cast

import torch
from torch.optim import Adam, AdamW

_MARKED = ("add_param_group", "load_state_dict", "state_dict", "step", "zero_grad")


def _unmarked(kind: type[Adam]) -> type[Adam]:
    """The same optimiser, its calls without the marks around them, of which one also switched gradients off."""
    calls = {name: inspect.unwrap(getattr(kind, name)) for name in _MARKED}
    return cast(type[Adam], type(kind.__name__, (kind,), calls | {"step": torch.no_grad()(calls["step"])}))


OPTIMIZERS = {kind.__name__: _unmarked(kind) for kind in (AdamW, Adam)}
"""Adam's weight decay is part of the gradient (an L2 penalty)."""
