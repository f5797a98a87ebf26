"""Comma lists whose items may have options in brackets: `noprop[T=20,sampler=mean],backprop`."""

from __future__ import annotations

import re


def split_list(text: str) -> list[str]:
    """Split at the commas outside brackets; items may be empty."""
    return [item.strip() for item in re.split(r",(?![^\[]*\])", text)]
