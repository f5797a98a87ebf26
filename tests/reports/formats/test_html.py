"""The page for a browser: whole in one file, with the tables and pictures of `report.md`, and nothing let through."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from reports.build import build_report, main
from reports.formats.choice import Forms
from reports.formats.html import html_page
from tests.factories import make_cells, make_failed_cell, make_run, whole, write_run

VOID = {"meta", "img", "br", "hr"}
ODD = 'noprop[x=<b>&"quoted"</b>|y]'


@dataclass
class Element:
    tag: str
    attrs: dict[str, str]
    text: str = ""
    parents: list[str] = field(default_factory=list)


class Reader(HTMLParser):
    """Every element with the text in it; fails where one is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self.open: list[Element] = []
        self.doctype = ""

    def handle_decl(self, decl: str) -> None:
        self.doctype = decl

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs)
        element = Element(tag, {name: value or "" for name, value in attrs}, parents=[each.tag for each in self.open])
        self.elements.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element.text += data

    def all(self, tag: str) -> list[Element]:
        return [element for element in self.elements if element.tag == tag]


def read(page: str) -> Reader:
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert not reader.open
    return reader


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets, a label and an error full of what HTML is made of, a failed cell."""
    planned = make_cells(["backprop", "noprop", ODD], ["mnist", "digits"], seeds=range(3), epochs=2, diagnostics=True)
    cells = [make_failed_cell("noprop", "mnist", 1, error='<script>alert("x")</script> & <img src=http://a/b.png>')]
    cells += [cell for cell in planned if cell.key != cells[0].key]
    run = write_run(tmp_path_factory.mktemp("runs") / "run", cells, make_run(planned))
    return build_report(run, forms=Forms(html=True))


@pytest.fixture(scope="module")
def page(report: Path) -> Reader:
    return read((report.parent / "report.html").read_text(encoding="utf-8"))


def test_it_is_a_document_with_language_title_and_ids_of_their_own(page: Reader) -> None:
    assert page.doctype == "DOCTYPE html"
    assert page.all("html")[0].attrs["lang"] == "en"
    (heading,) = page.all("h1")
    assert page.all("title")[0].text == heading.text == "NoProp-Bench report: mnist, digits"
    ids = [element.attrs["id"] for element in page.elements if "id" in element.attrs]
    assert len(set(ids)) == len(ids)


def test_nothing_in_it_is_fetched(page: Reader) -> None:
    assert not page.all("link")
    assert all("src" not in script.attrs for script in page.all("script"))
    for element in page.elements:
        assert element.attrs.get("src", "data:").startswith("data:")
        assert element.attrs.get("href", "#").startswith(("#", "data:text/csv"))
    assert "http:" not in page.all("style")[0].text
    assert "url(" not in page.all("style")[0].text


def test_every_section_can_be_reached_from_the_contents(page: Reader) -> None:
    ids = {element.attrs["id"]: element for element in page.elements if element.tag in {"h2", "h3"}}
    links = [a for a in page.all("a") if "nav" in a.parents]
    assert [link.attrs["href"] for link in links] == [f"#{name}" for name in ids]
    assert [link.text for link in links] == [heading.text for heading in ids.values()]
    inside = {a.attrs["href"] for a in page.all("a") if "main" in a.parents and a.attrs["href"].startswith("#")}
    assert inside >= {"#configuration", "#limitations", "#details"}
    assert inside <= {f"#{name}" for name in [*ids, "details"]}


def test_every_picture_is_inside_with_its_words_and_its_numbers(report: Path, page: Reader) -> None:
    linked = re.findall(r"^!\[.+\]\(figures/(.+)\.png\)$", whole(report), re.MULTILINE)
    images, numbers = page.all("img"), [a for a in page.all("a") if "download" in a.attrs]
    assert len(images) == len(numbers) == len(linked) > 10
    assert [a.attrs["download"] for a in numbers] == [f"{name}.csv" for name in linked]
    for name, image, link in zip(linked, images, numbers, strict=True):
        figures = report.parent / "figures"
        assert b64decode(image.attrs["src"].removeprefix("data:image/svg+xml;base64,")) == (
            (figures / f"{name}.svg").read_bytes()
        )
        assert b64decode(link.attrs["href"].removeprefix("data:text/csv;base64,")) == (
            (figures / f"{name}.csv").read_bytes()
        )
        assert len(image.attrs["alt"]) > 40
        assert "\\" not in image.attrs["alt"]
        assert "figcaption" in link.parents


def test_tables_have_the_entries_of_the_markdown(report: Path, page: Reader) -> None:
    lines = [line for line in whole(report).splitlines() if line.startswith("|") and not line.startswith("|:-")]
    rows = [[re.sub(r"[`*]", "", entry.strip()) for entry in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    written = [entry.replace("\\|", "|") for row in rows for entry in row]
    assert [element.text for element in page.elements if element.tag in {"th", "td"}] == written
    assert len(page.all("table")) == len(
        [element for element in page.elements if element.attrs.get("class") == "scroll"]
    )


def test_what_looks_like_html_is_text(page: Reader) -> None:
    assert ODD in [cell.text for cell in page.all("td")]
    assert '<script>alert("x")</script> & <img src=http://a/b.png>' in page.all("main")[0].text
    assert len(page.all("script")) == 1
    assert not page.all("b")


def test_a_picture_from_elsewhere_is_its_words(tmp_path: Path) -> None:
    report = tmp_path / "report.md"
    report.write_text("# A\n\n![words](http://example.org/x.png)\n\n*caption*\n\n[a](javascript:alert(1))\n")
    page = read(html_page(report))
    assert not page.all("img")
    assert "words" in page.all("figure")[0].text
    assert not [a for a in page.all("a") if "javascript" in a.attrs["href"]]


def test_the_flag_writes_it_and_a_page_that_is_there_never_stays_behind(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(seeds=[0], epochs=1))
    plain = CliRunner().invoke(main, [str(run)])
    assert plain.exit_code == 0
    assert not (run / "report.html").exists()
    assert CliRunner().invoke(main, [str(run), "--html"]).exit_code == 0
    first = (run / "report.html").read_bytes()
    (run / "report.html").write_text("old")
    assert CliRunner().invoke(main, [str(run)]).exit_code == 0
    assert (run / "report.html").read_bytes() == first
    assert not (run / "tables.tex").exists()
