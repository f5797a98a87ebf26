"""Names that methods had in older results, read as today's."""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator

_TODAY = {"backprop-cnn": "backprop-plain"}


def todays(label: Any) -> Any:
    """A method's label, `name` or `name[options]`, with today's name; what is no text is left for validation."""
    if not isinstance(label, str):
        return label
    name, bracket, options = label.partition("[")
    return _TODAY.get(name, name) + bracket + options


def _todays_keys(record: Any) -> Any:
    return {todays(label): value for label, value in record.items()} if isinstance(record, Mapping) else record


MethodLabel = Annotated[str, BeforeValidator(todays)]
"""A method's label in a record."""
ByMethod = BeforeValidator(_todays_keys)
"""For a mapping by methods' labels."""
