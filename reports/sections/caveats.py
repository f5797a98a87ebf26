"""The caveats that matter most for a run: the first of its limitations that are marked as such."""

from __future__ import annotations

from reports.formats.markdown import Markdown, bullets
from reports.sections import limitations
from reports.view import RunView

MAX_SHOWN = 4


def section(run: RunView) -> Markdown | None:
    """Limitations that open in bold, at most `MAX_SHOWN`; None where none applies."""
    found = [each for each in limitations.sentences(run) if each.startswith("**")][:MAX_SHOWN]
    return f"## Keep in mind\n\n{bullets(found)}" if found else None
