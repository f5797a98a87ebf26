"""The tables for a paper: the entries of the Markdown, and nothing that LaTeX would trip over."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from reports.build import build_report, main
from reports.formats.choice import Forms
from reports.formats.latex import escaped
from tests.factories import make_cell, make_cells, make_failed_cell, make_run, whole, write_run
from tests.reports.test_tables import column

ODD = "noprop[a_b=50%&c#1,d=$x^2~{y}\\z]"
DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}
\usepackage{booktabs,graphicx}
\begin{document}
\input{tables}
\end{document}
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    planned = make_cells(["backprop", "noprop", ODD], ["a_b", "A B"], seeds=range(3), epochs=2)
    cells = [make_failed_cell("noprop", "a_b", 1), *planned]
    cells = [cell for k, cell in enumerate(cells) if cell.key not in {each.key for each in cells[:k]}]
    run = write_run(tmp_path_factory.mktemp("runs") / "run", cells, make_run(planned))
    return build_report(run, forms=Forms(latex=True))


def tables(report: Path) -> list[str]:
    text = (report.parent / "tables.tex").read_text(encoding="utf-8")
    return re.findall(r"\\begin\{table\}.*?\\end\{table\}", text, re.DOTALL)


def entries(table: str, method: str) -> list[str]:
    """Of the method's row, without its name."""
    line = next(line for line in table.splitlines() if line.startswith(rf"\texttt{{{method}}} &"))
    return [entry.strip() for entry in line.removesuffix(r"\\").split(" & ")][1:]


def test_every_data_set_has_its_results_and_its_comparison_with_labels_of_their_own(report: Path) -> None:
    labels = [re.findall(r"\\label\{(.+)\}", table) for table in tables(report)]
    assert labels == [["tab:a-b"], ["tab:a-b-ratios"], ["tab:a-b-2"], ["tab:a-b-2-ratios"]]
    for table in tables(report):
        for rule in (r"\toprule", r"\midrule", r"\bottomrule"):
            assert table.count(rule) == 1


def test_entries_are_those_of_the_markdown(report: Path) -> None:
    results, comparison, *_ = tables(report)
    markdown = [text[text.index("|") :] for text in whole(report).split("\n### ")[1:] if "| `noprop`" in text]
    accuracy_and_time, memory, compared = (
        next(text for text in markdown if f" {header} " in text.splitlines()[0])
        for header in ("training time, s", "peak memory, MiB", "training time, ratio")
    )
    held = "activation memory, MiB"
    assert entries(results, "noprop") == [
        *(
            typeset(column(accuracy_and_time, "noprop", header))
            for header in ("seeds", "test accuracy, %", "training time, s")
        ),
        *(typeset(column(memory, "noprop", header)) for header in ("peak memory increase, MiB", held)),
    ]
    assert entries(results, "noprop")[0] == "2 of 3"
    shown = (
        "seeds",
        "test accuracy, points",
        "training time, ratio",
        "peak memory increase, ratio",
        "activation memory, ratio",
    )
    assert entries(comparison, "noprop") == [typeset(column(compared, "noprop", header)) for header in shown]


def typeset(entry: str) -> str:
    return entry.replace("±", r"$\pm$").replace("−", "$-$")


def test_captions_say_seeds_and_interval(report: Path) -> None:
    for table in tables(report):
        caption = re.findall(r"\\caption\{(.+)\}", table)[0]
        assert "3 seeds (0--2)" in caption
        assert r"95\% interval (Student t; from 10 seeds on the studentised bootstrap)" in caption
    assert r"Results on a\_b over" in tables(report)[0]


def test_what_means_something_to_latex_is_escaped(report: Path) -> None:
    label = escaped(ODD)
    assert label == (r"noprop[a\_b=50\%\&c\#1,d=\$x\textasciicircum{}2\textasciitilde{}\{y\}\textbackslash{}z]")
    for table in tables(report):
        if "ratios" in table or ODD in table:
            assert rf"\texttt{{{label}}} & " in table
        body = table.split(r"\midrule")[1].split(r"\bottomrule")[0]
        widths = {len(re.findall(r"(?<!\\)&", line)) for line in body.strip().splitlines()}
        assert widths == {table.split("{tabular}{")[1].split("}")[0].count("r")}
        assert table.count("{") - table.count(r"\{") == table.count("}") - table.count(r"\}")
        assert table.isascii()


def test_one_seed_has_no_interval_and_no_rival_no_comparison(tmp_path: Path) -> None:
    (table,) = tables(build_report(write_run(tmp_path / "run", [make_cell()]), forms=Forms(latex=True)))
    assert "(one seed)" in entries(table, "backprop")[1]
    assert "pm" not in "".join(entries(table, "backprop"))


def test_the_flag_writes_them_and_they_never_stay_behind(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", make_cells(seeds=[0], epochs=1))
    assert CliRunner().invoke(main, [str(run), "--latex"]).exit_code == 0
    first = (run / "tables.tex").read_bytes()
    (run / "tables.tex").write_text("old")
    assert CliRunner().invoke(main, [str(run)]).exit_code == 0
    assert (run / "tables.tex").read_bytes() == first
    assert not (run / "report.html").exists()


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_a_document_with_them_compiles(report: Path, tmp_path: Path) -> None:
    shutil.copy(report.parent / "tables.tex", tmp_path)
    (tmp_path / "paper.tex").write_text(DOCUMENT)
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
    assert (tmp_path / "paper.pdf").read_bytes().startswith(b"%PDF")
    assert "Overfull" not in ended.stdout  # however long a label is
