"""Options of methods that older results do not have, with the values that were then built in.

A row, a planned cell or a saved model from before an option existed is read as if it had that value, so that it is
shown, compared, resumed and rebuilt as what it was, whatever the default is now.
"""

from collections.abc import Mapping
from typing import Any

from results.past_names import todays

_STACK = ("noprop", "noprop-attached", "noprop-ct", "noprop-fm", "backprop", "backprop-checkpoint", "adjoint")
_HEAD = (
    "backprop",
    "backprop-checkpoint",
    "backprop-accumulate",
    "backprop-deep-supervision",
    "noprop-attached",
    "adjoint",
)
_CNN = ("backprop-plain", "local-loss", "forward-forward", "dfa", "difference-target-propagation")

PAST: dict[str, dict[str, Any]] = {name: {"features": "mean"} for name in (*_STACK, *_CNN)}
"""By the registry's name of the method."""
for name in _HEAD:
    PAST[name] = PAST.get(name, {}) | {"head_scale": 1.0}
for name in _CNN:
    PAST[name] |= {"network": "cnn"}
PAST["backprop-plain"] |= {"mlp_of": "dfa"}
PAST["difference-target-propagation"] |= {"inverse_steps": 1}
PAST["noprop-ct"] |= {"time_sampling": "uniform", "readout": "sample", "gamma_interior": "loss"}


def with_past_options(record: Any) -> Any:
    """A record as read from JSON with the options that it lacks: at `options`, or `config.options`, by `method_name`.

    Anything else is returned as it is, for validation to refuse.
    """
    if not isinstance(record, dict):
        return record
    past = PAST.get(todays(record.get("method_name", "")), {})
    if isinstance(options := record.get("options"), Mapping):
        return record | {"options": past | dict(options)}
    config = record.get("config")
    if past and isinstance(config, dict) and isinstance(options := config.get("options"), Mapping):
        return record | {"config": config | {"options": past | dict(options)}}
    return record
