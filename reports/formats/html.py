"""The report as one page of HTML that needs no other file: `report.md` with its figures, for a browser."""

from __future__ import annotations

import itertools
import re
from base64 import b64encode
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jinja2 import Environment, PackageLoader
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from markupsafe import Markup

from reports.formats.markdown import Markdown, first_free
from results.store import replace_file

REPORT_FILE, HTML_FILE = "report.md", "report.html"
Env = MutableMapping[str, Any]


@dataclass(slots=True)
class Section:
    """A heading in the table of contents."""

    id: str
    text: str
    parts: list[Section] = field(default_factory=list)


def write_report(folder: Path, text: Markdown, *, html: bool = False) -> Path:
    """Write `report.md` beside its figures and, if wanted, the page; the path of `report.md`.

    Raises:
        ResultsError: the folder cannot be written to.
    """
    path = folder / REPORT_FILE
    replace_file(path, f"{text}\n".encode())
    if html:
        replace_file(folder / HTML_FILE, html_page(path).encode())
    return path


def html_page(report: Path, details: Path | None = None) -> str:
    """The page: sortable tables, figures with their data, a table of contents, two themes.

    HTML in the report is shown as text, and nothing is fetched.

    Args:
        report: a `report.md`; beside the PNG files that it links to are the SVG and the CSV of each figure.
        details: the `details.md` beside it, which the page has folded, below; None or no such file: there is none.
    """
    parser = MarkdownIt("commonmark", {"html": False}, renderer_cls=_Renderer).enable("table")
    ids: set[str] = set()

    def rendered(page: Path) -> tuple[str, list[Section], Markup]:
        tokens = _figures(parser.parse(page.read_text(encoding="utf-8")))
        if page != report and tokens[0].tag == "h1":
            tokens = tokens[3:]  # a page has one title
        title, sections = _outline(tokens, ids)
        return title, sections, Markup(parser.renderer.render(tokens, parser.options, {"folder": page.parent}))  # noqa: S704

    title, contents, body = rendered(report)
    folded = None
    if details is not None and details.is_file():
        _, more, folded = rendered(details)
        contents += more
        body = Markup(  # noqa: S704
            str(body).replace(f'href="{details.name}"', 'href="#details"').replace(f'href="{details.name}#', 'href="#')
        )
    pages = Environment(loader=PackageLoader("reports", "web"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    return pages.get_template("page.html").render(title=title, contents=contents, body=body, details=folded) + "\n"


class _Renderer(RendererHTML):
    """Tables that scroll on their own, figures as data in the page, captions with a link to the data."""

    def table_open(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        label = escape(f"Table: {tokens[index].meta['heading']}")
        return f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">\n<table>\n'

    def table_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        return "</table>\n</div>\n"

    def image(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        picture = _beside(tokens[index], env, ".svg")
        alt = escape(self.renderInlineAsText(tokens[index].children, options, env))
        return f'<img src="{_data(picture, "image/svg+xml")}" alt="{alt}">' if picture.is_file() else alt

    def figcaption_close(self, tokens: Sequence[Token], index: int, options: OptionsDict, env: Env) -> str:
        numbers = _beside(tokens[index].meta["image"], env, ".csv")
        link = ""
        if numbers.is_file():
            link = f' <a href="{_data(numbers, "text/csv")}" download="{escape(numbers.name)}">Numbers (CSV)</a>'
        return f"{link}</figcaption>\n</figure>\n"


def _beside(image: Token, env: Env, suffix: str) -> Path:
    """The file with another suffix beside the figure that is linked to."""
    folder: Path = env["folder"]
    return (folder / unquote(str(image.attrs["src"]))).with_suffix(suffix)


def _data(file: Path, kind: str) -> str:
    return f"data:{kind};base64,{b64encode(file.read_bytes()).decode()}"


def _figures(tokens: list[Token]) -> list[Token]:
    """Turn a paragraph with nothing but an image, and the paragraph after it, into a figure and its caption."""
    for at in range(len(tokens) - 5):
        opening, inline, between, after, _, closing = tokens[at : at + 6]
        parts = inline.children or []
        if opening.type == after.type == "paragraph_open" and [part.type for part in parts] == ["image"]:
            opening.type, opening.tag = "figure_open", "figure"
            between.hidden = True
            after.type, after.tag = "figcaption_open", "figcaption"
            closing.type, closing.meta["image"] = "figcaption_close", parts[0]
    return tokens


def _outline(tokens: Sequence[Token], ids: set[str]) -> tuple[str, list[Section]]:
    """Give every heading the `id` that GitHub gives it, unless it is one of `ids`, and every table its heading.

    Returns:
        The title and the sections; their `id`s are added to `ids`.
    """
    title, heading = "", ""
    sections: list[Section] = []
    for token, inline in itertools.pairwise(tokens):
        if token.type == "table_open":
            token.meta["heading"] = heading
        if token.type != "heading_open":
            continue
        heading = "".join(child.content for child in inline.children or [])
        plain = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        section = Section(first_free(plain, ids, start=1), heading)
        ids.add(section.id)
        token.attrSet("id", section.id)
        if token.tag == "h1":
            title = title or heading
        elif token.tag == "h2":
            sections.append(section)
        elif token.tag == "h3" and sections:
            sections[-1].parts.append(section)
    return title, sections
