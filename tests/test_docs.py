"""What the README files say of the project is so: links, anchors, paths, commands and their flags."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import click
import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

import methods
from bench import datasets
from tests.bench.harness import PROJECT

DOCUMENTS = sorted(
    path.relative_to(PROJECT).as_posix()
    for pattern in ("README.md", "*/README.md", "*/*/README.md", "CHANGELOG.md")
    for path in PROJECT.glob(pattern)
    if not path.relative_to(PROJECT).parts[0].startswith(".")
)
MAX_README_LINES = 150
PACKAGES = ("bench", "methods", "reports", "results", "tests")
MADE_BY_COMMANDS = tuple(
    f"results/{name}/" for name in ("runs", "campaign", "tuned", "microbench", "profiles", "scale", "data")
)
OTHERS_FLAGS = {"--nproc-per-node"}
"""Flags of other programs (torchrun) that are named beside ours."""


@cache
def tokens(document: str) -> tuple[Token, ...]:
    """A document's tokens, those of inline text among them."""
    parsed = MarkdownIt("commonmark").enable("table").parse((PROJECT / document).read_text(encoding="utf-8"))
    return tuple(token for block in parsed for token in (block, *(block.children or ())))


def slug(heading: Token) -> str:
    """GitHub's anchor of a heading: its text in small letters, without punctuation, hyphens for spaces."""
    text = "".join(part.content for part in heading.children or () if part.type in ("text", "code_inline"))
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")


@cache
def anchors(document: str) -> frozenset[str]:
    """All anchors of a document; GitHub numbers those that come again."""
    seen: dict[str, int] = {}
    found = set()
    for before, token in zip(tokens(document), tokens(document)[1:], strict=False):
        if before.type == "heading_open":
            name = slug(token)
            found.add(f"{name}-{seen[name]}" if name in seen else name)
            seen[name] = seen.get(name, 0) + 1
    return frozenset(found)


def links(document: str) -> Iterator[str]:
    """Targets of links and images that are neither mail nor on the web."""
    for token in tokens(document):
        target = token.attrGet("href") or token.attrGet("src")
        if target is not None and not re.match(r"[a-z]+:", str(target)):
            yield unquote(str(target))


def codes(document: str) -> Iterator[str]:
    """What stands in backticks."""
    return (token.content for token in tokens(document) if token.type == "code_inline")


def shell_lines(document: str) -> Iterator[str]:
    """The commands of a document: lines of its shell blocks, and whole commands in backticks."""
    for token in tokens(document):
        if token.type == "fence" and token.info == "sh":
            for line in token.content.replace("\\\n", " ").splitlines():
                yield from re.sub(r"(^|\s)#.*", "", line).split("; ")
    yield from (code for code in codes(document) if re.match(r"(python -m|make|noprop-bench|torchrun) ", code))


@cache
def command_of(module: str) -> click.Command:
    """The click command that `python -m MODULE` runs."""
    (command,) = {value for value in vars(importlib.import_module(module)).values() if isinstance(value, click.Command)}
    return command


def check_flags(module: str, arguments: list[str]) -> None:
    """Parse the arguments as the command does, without running it.

    Raises:
        click.UsageError: a flag that it does not have, or one without its value.
    """
    command = command_of(module)
    command.make_parser(click.Context(command, **command.context_settings)).parse_args(list(arguments))


@cache
def make_targets() -> dict[str, str | None]:
    """Each target of the Makefile, with the module of ours that it runs."""
    text = (PROJECT / "Makefile").read_text()
    recipes = re.findall(r"^([a-z-]+):.*\n((?:\t.*\n)*)", text, re.MULTILINE)
    modules = {target: re.search(r"-m ((?:bench|reports)\.\S+)", recipe) for target, recipe in recipes}
    return {target: found and found[1] for target, found in modules.items()}


@cache
def make_variables() -> frozenset[str]:
    """Variables that the Makefile lets be given."""
    return frozenset(re.findall(r"^([A-Z_]+) \?=", (PROJECT / "Makefile").read_text(), re.MULTILINE))


def check_command(line: str) -> bool:
    """Whether a line is a command of ours; if so, its flags, targets and variables are."""
    words = shlex.split(line)
    while words and re.match(r"[A-Z_]+=", words[0]):
        words.pop(0)  # the environment
    if not words:
        return False
    if words[0] == "make":
        given = dict(word.split("=", 1) for word in words[1:] if "=" in word)
        targets = [word for word in words[1:] if "=" not in word]
        assert set(targets) <= set(make_targets()), line
        assert set(given) <= make_variables(), line
        for module in filter(None, map(make_targets().get, targets)):
            check_flags(module, shlex.split(given.get("ARGS", "")))
        return True
    if words[0] == "noprop-bench":
        check_flags("bench.run", words[1:])
        return True
    module = words[words.index("-m") + 1] if "-m" in words[:-1] else ""
    if not module.startswith(("bench.", "reports.")):
        return False
    check_flags(module, words[words.index(module) + 1 :])
    return True


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_lead_somewhere(document: str) -> None:
    for target in links(document):
        path, _, anchor = target.partition("#")
        file = (PROJECT / document).parent / path if path else PROJECT / document
        assert file.exists(), f"{document}: {target}"
        if anchor:
            page = file.resolve().relative_to(PROJECT).as_posix()
            assert anchor in anchors(page), f"{document}: {target}"


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_and_flags_exist(document: str) -> None:
    for line in shell_lines(document):
        try:
            check_command(line)
        except (click.UsageError, ModuleNotFoundError) as error:
            raise AssertionError(f"{document}: {line}: {error}") from error
    commands = [command_of(f"bench.{path.stem}") for path in (PROJECT / "bench").glob("*.py") if is_command(path)]
    commands.append(command_of("reports.build"))
    flags = {
        flag for command in commands for option in command.params for flag in (*option.opts, *option.secondary_opts)
    }
    for code in codes(document):
        for flag in re.findall(r"^--[a-z][\w-]*", code):
            assert flag in flags | OTHERS_FLAGS | {"--help"}, f"{document}: {flag}"


def is_command(path: Path) -> bool:
    """Whether a module is there to be run."""
    return '__name__ == "__main__"' in path.read_text()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_paths_in_backticks_exist(document: str) -> None:
    folder = (PROJECT / document).parent
    for code in codes(document):
        if re.fullmatch(rf"(?:{'|'.join(PACKAGES)})/[\w./-]*", code) and not code.startswith(MADE_BY_COMMANDS):
            assert (PROJECT / code).exists() or (folder / code).exists(), f"{document}: {code}"


def test_the_readme_is_read_to_its_end() -> None:
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_README_LINES
    assert {"https://arxiv.org/abs/2503.24322v1", "https://arxiv.org/abs/2503.24322v2"} <= set(
        re.findall(r"https://arxiv\.org/abs/\w+\.\w+", text)
    )


def test_the_table_of_the_readme_is_the_reports() -> None:
    def rows(document: str) -> dict[str, list[str]]:
        lines = (PROJECT / document).read_text(encoding="utf-8").splitlines()
        cut = [[entry.strip() for entry in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
        return {entries[0].split(":")[0]: entries[1:] for entries in cut if len(entries) == 5}

    assert rows("README.md") == rows("results/reference/mnist-3-epochs/report.md") != {}


def test_the_two_commands_are_there() -> None:
    assert {"make bench", "make test"} <= {line.strip() for line in shell_lines("README.md")}


def test_every_method_option_and_data_set_is_described() -> None:
    described = set(codes("methods/README.md"))
    assert set(methods.available()) <= described
    options = {name for method in methods.available().values() for name in method.Options.__dataclass_fields__}
    assert options <= described
    assert set(datasets.available()) <= set(codes("bench/README.md"))


def test_every_reference_run_is_described() -> None:
    runs = {path.name for path in (PROJECT / "results" / "reference").iterdir() if path.is_dir()}
    assert runs == {code for code in codes("results/reference/README.md") if code in runs}


def test_one_version_and_one_license_everywhere() -> None:
    project = (PROJECT / "pyproject.toml").read_text()
    (version,) = re.findall(r'^version = "(.+)"$', project, re.MULTILINE)
    citation = (PROJECT / "CITATION.cff").read_text()
    assert f"\nversion: {version}\n" in citation
    assert re.findall(r"^## \[(.+?)\]", (PROJECT / "CHANGELOG.md").read_text(), re.MULTILINE)[0] in (
        version,
        "Unreleased",
    )
    assert 'license = "MIT"' in project
    assert "\nlicense: MIT\n" in citation
    assert (PROJECT / "LICENSE").read_text().startswith("MIT License\n\nCopyright (c) 2026 NoProp-Bench contributors\n")


def test_committed_runs_do_not_say_where_they_were_made() -> None:
    records = [*PROJECT.glob("results/reference/*/run.json"), *PROJECT.glob("results/reference/*/grid.json")]
    assert len(records) > 2
    assert [str(path) for path in records if " --out" in path.read_text(encoding="utf-8")] == []
