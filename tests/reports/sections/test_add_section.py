"""A section is one new file and its name in the tuple: the README's template, in a whole report."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

from reports import page, sections
from reports.build import build_report
from tests.factories import make_cells, make_run, whole, write_run

FOLDER = Path(sections.__path__[0])
README = FOLDER / "README.md"


@pytest.fixture
def with_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The template of the README as a file of sections, listed last among the comparisons."""
    (template,) = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "fastest.py").write_text(template, encoding="utf-8")
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    monkeypatch.setattr(page, "COMPARISONS", (*page.COMPARISONS, "fastest"))


@pytest.mark.usefixtures("with_section")
def test_a_new_section_is_in_the_report_of_each_data_set(tmp_path: Path) -> None:
    cells = make_cells(["backprop", "noprop"], ["mnist", "digits"], seeds=range(2), epochs=1)
    text = whole(build_report(write_run(tmp_path / "run", cells, make_run(cells, jobs=2))))
    parts = text.split("### Fastest cells")
    assert len(parts) == 3
    assert "## Results: mnist" in parts[0]
    assert "## Results: digits" in parts[1]
    least = min(cell.train_seconds or 0 for cell in cells if (cell.method, cell.dataset) == ("noprop", "digits"))
    assert re.search(rf"\| `noprop` +\| +{least:.1f} \|", parts[2])
    said = (
        "The shortest training time of `backprop`, `noprop` over 4 cells. Do not compare them: cells ran 2 at a time."
    )
    assert parts[1].count(said) == parts[2].count(said) == 1


def test_every_file_is_listed_once_and_has_the_signature_of_its_place() -> None:
    of_data, of_run = page.ANSWERS + page.MEASUREMENTS + page.COMPARISONS, page.CAVEATS + page.CONDITIONS
    listed = [*of_data, *of_run]
    assert sorted(listed) == sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
    for name in listed:
        section = import_module(f"reports.sections.{name}").section
        expected = ["run", "data"] if name in of_data else ["run"]
        assert list(inspect.signature(section).parameters) == expected
        assert inspect.signature(section).return_annotation in ("Markdown", "Markdown | None")
