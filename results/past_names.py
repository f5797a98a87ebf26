"""Names that methods had in older results, read as today's.

What people type is the registry's business: a former name is an alias there.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

_Value = TypeVar("_Value")
_TODAY = {"backprop-cnn": "backprop-plain"}


def todays(label: Any) -> Any:
    """A method's label with today's name: `name`, `name[T=5]`, `name (lr=0.01)`; what is no text is left as it is."""
    return re.sub(r"^[^\[\s]+", lambda name: _TODAY.get(name[0], name[0]), label) if isinstance(label, str) else label


def _todays_keys(record: Any) -> Any:
    if not isinstance(record, Mapping):
        return record
    renamed = {todays(label): value for label, value in record.items()}
    return renamed | {label: value for label, value in record.items() if label in renamed}  # today's name counts


MethodLabel = Annotated[str, BeforeValidator(todays)]
"""A method's label in a record."""
ByMethod = Annotated[dict[str, _Value], BeforeValidator(_todays_keys)]
"""What a record has by methods' labels: `ByMethod[str]`."""
