"""One result as one line of `cells.jsonl`, and back: a JSON object whose last member is a checksum of the rest."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, get_args

from pydantic import ValidationError

from results.record import SCHEMA_VERSION, Version
from results.schema import CellResult

MAX_LINE_BYTES = 64 * 2**20
"""Far more than any result takes. A longer line is not ours, and is not read into memory to find that out."""
_FIRST_WITH_CHECKSUM = 3
_CHECKSUM = re.compile(rb',"sha256":"([0-9a-f]{64})"\}$')


class LineError(ValueError):
    """A line that is no result; the message says why in a few words."""


def encode(result: CellResult) -> bytes:
    """The line of a result, its end included.

    The member `sha256` is the SHA-256 of the line's bytes without that member: of the object as it would be alone.
    """
    body = result.model_dump_json().encode()
    return body[:-1] + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'"}\n'


def decode(line: bytes) -> CellResult:
    """The result of a line.

    Raises:
        LineError: it is cut short, was changed, is not ours, or is of another version.
    """
    line = line.strip()
    found = _CHECKSUM.search(line)
    body = line[: found.start()] + b"}" if found else line
    try:
        result = CellResult.model_validate_json(body)
    except ValidationError as error:
        raise LineError(first_problem(body, error)) from None
    if found is None and result.schema_version >= _FIRST_WITH_CHECKSUM:
        raise LineError("it has no checksum")
    if found is not None and hashlib.sha256(body).hexdigest().encode() != found[1]:
        raise LineError("it does not match its checksum, so something changed it after it was written")
    return result


def first_problem(text: str | bytes, error: ValidationError) -> str:
    """Say in a few words why a record did not validate, and name the version when that is the reason."""
    try:
        version = json.loads(text).get("schema_version")
    except (ValueError, AttributeError, RecursionError):
        version = None
    if isinstance(version, int) and version not in get_args(Version):
        return f"it is of schema version {version}, and this program knows those up to {SCHEMA_VERSION}"
    first: Any = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:80]
    said = " ".join(str(first["msg"]).split())[:200]
    return f"{where}: {said}" if where else said
