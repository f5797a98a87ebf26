"""A section's text: a Jinja template whose paragraphs may be wrapped, filled in to Markdown."""

from __future__ import annotations

import re
from functools import cache

from jinja2 import Environment, StrictUndefined, Template

from reports.formats.markdown import Markdown, bullets, capital, code, codes, listed, number, plural

FILTERS = {each.__name__: each for each in (bullets, capital, code, codes, listed, number, plural)}


def prose(template: str, **values: object) -> Markdown:
    """Fill in a template. Blank lines separate its paragraphs; one that comes out empty is left out.

    Lines inside a paragraph are joined, so that text can be wrapped like code; values keep their lines. Filters are
    functions of `formats.markdown`: `{{ methods | codes }}`, `{{ count | plural("seed") }}`.

    Raises:
        jinja2.UndefinedError: the template names a value that is not given.
    """
    return "\n\n".join(filter(None, map(str.strip, _compiled(template).render(values).split("\n\n"))))


@cache
def _compiled(template: str) -> Template:
    environment = Environment(undefined=StrictUndefined)  # noqa: S701 - Markdown; the HTML page escapes it all
    environment.filters |= FILTERS
    return environment.from_string("\n\n".join(" ".join(each.split()) for each in re.split(r"\n\s*\n", template)))
