"""All runs of a page together, and which of their methods the questions are about."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from reports.formats.markdown import Markdown, code, listed
from reports.overview.labels import DEFAULTS, is_old
from reports.overview.pooling import Pool, pool
from reports.overview.sources import Skipped, Source
from reports.view import REFERENCE

REPORT_FILE = "report.md"
CHAIN = "noprop"
MIN_SEEDS = 5
"""Fewer are called few."""
MIN_STEPS = 100
"""Of training; after fewer, an accuracy says nothing."""
SEVERAL = 3
"""With fewer seeds, a longer training does not stand beside a shorter one that has them."""
ENSEMBLE, CNN, CHECKPOINT = "backprop-ensemble", "backprop-plain", "backprop-checkpoint"


@dataclass(frozen=True, eq=False)
class Overview:
    """What a page is made from."""

    sources: list[Source]
    skipped: list[Skipped]
    base: Path
    """The folder that links start from."""

    @cached_property
    def pools(self) -> list[Pool]:
        """Every data set at every budget, whether or not there is something to compare."""
        return pool(self.sources)

    @cached_property
    def comparisons(self) -> list[Pool]:
        """Those with a reference and another method, without the `hurried` ones."""
        return [each for each in self.pools if each.is_comparison and each not in self.hurried]

    @cached_property
    def hurried(self) -> list[Pool]:
        """Those so short that they say nothing of accuracy: made for their times. None, where all are."""
        found = [each for each in self.pools if each.is_comparison]
        short = [each for each in found if each.steps is not None and each.steps < MIN_STEPS]
        return short if len(short) < len(found) else []

    @cached_property
    def alone(self) -> list[Pool]:
        """Those without a reference, or with nothing beside it."""
        return [each for each in self.pools if not each.is_comparison]

    @cached_property
    def main(self) -> list[Pool]:
        """Of each data set the comparison with most seeds of NoProp, and a longer one if that has several, too.

        And, where there is no backprop in these, the best one that has it.
        """
        found: list[Pool] = []
        for name in dict.fromkeys(each.data.name for each in self.comparisons):
            of_data = [each for each in self.comparisons if each.data.name == name]
            best = max(of_data, key=_weight)
            enough = min(SEVERAL, _seeds(best))
            longest = max(
                (each for each in of_data if _seeds(each) >= max(1, enough)), key=_presentations, default=best
            )
            chosen = [best] if _presentations(longest) <= _presentations(best) else [longest, best]
            if not any(matched(each) for each in chosen):
                chosen += sorted((each for each in of_data if matched(each)), key=_weight)[-1:]
            found += chosen
        return found

    def links(self, runs: Iterable[str]) -> Markdown:
        """Runs by name, as links to their reports where there are any."""
        folders = {source.name: source.folder for source in self.sources}
        return listed([self.link(run, folders[run]) for run in dict.fromkeys(runs)])

    def link(self, name: str, folder: Path) -> Markdown:
        """A run's name, as a link to its report if there is one."""
        report = folder / REPORT_FILE
        if not report.is_file():
            return code(name)
        return f"[{name}]({Path(os.path.relpath(report, self.base)).as_posix()})"


def _weight(each: Pool) -> tuple[bool, int, int, int]:
    return each.conditions.search is None, _seeds(each), _presentations(each), len(each.data.cells)


def _seeds(each: Pool) -> int:
    """That NoProp shares with the reference; fewer than `SEVERAL` count as one, of which they say hardly more."""
    known = chain(each)
    count = len(each.data.shared_seeds(known)) if known else 0
    return count if count >= SEVERAL else min(count, 1)


def _presentations(each: Pool) -> int:
    """Images that a training sees, in all epochs together."""
    images = max((cell.data.n_train for cell in each.data.cells if cell.data is not None), default=0)
    return images * int(each.conditions.by_name["epochs"])


def least_seeds(each: Pool) -> int:
    """The fewer of the seeds of NoProp and of the reference."""
    return min(len(each.data.finished[name]) for name in (chain(each), each.data.reference) if name)


def matched(each: Pool) -> str | None:
    """The reference, where it is backpropagation through the same blocks; None where the plain CNN stands in for it."""
    reference = each.data.reference
    return reference if reference is not None and each.name_of(reference) == REFERENCE else None


def chain(each: Pool, beside: str | None = None) -> str | None:
    """The method that stands for NoProp: its chain of blocks, by the mean where that was run, else by sampling.

    Of several, the one whose depth, embedding and other options agree with those of the reference, and of the method
    that it is to stand beside in what had another default.
    """
    reference = dict(each.options_of(each.data.reference)) if each.data.reference else {}
    if beside is not None:
        reference |= {name: value for name, value in each.options_of(beside).items() if name in DEFAULTS}

    def order(method: str) -> tuple[int, bool, int, str]:
        options = each.options_of(method)
        differing = sum(options[name] != value for name, value in reference.items() if name in options)
        return differing, options.get("sampler") != "mean", len(method), method

    chains = [m for m in each.data.drawn if each.name_of(m) == CHAIN and each.options_of(m).get("T", 10) > 1]
    return min(chains, key=order, default=None)


def sampled(each: Pool, method: str) -> str | None:
    """The same chain as one by the mean, but by sampling; None where it was not run, or the method is that.

    Of several that differ in their labels alone, the one with most seeds.
    """
    options = {**each.options_of(method), "sampler": None}
    others = [m for m in each.data.drawn if m != method and each.name_of(m) == CHAIN]
    if each.options_of(method).get("sampler") != "mean":
        return None
    samples = [m for m in others if each.options_of(m).get("sampler", "ancestral") == "ancestral"]
    alike = [m for m in samples if {**each.options_of(m), "sampler": None} == options]
    return max(alike, key=lambda m: (len(each.data.finished[m]), -len(m)), default=None)


def one_block(each: Pool) -> str | None:
    """NoProp with a single block: an ordinary classifier, without denoising."""
    blocks = [m for m in each.data.drawn if each.name_of(m) == CHAIN and each.options_of(m).get("T") == 1]
    return min(blocks, key=lambda method: (is_old(each.options_of(method)), len(method)), default=None)


def control(each: Pool, name: str) -> str | None:
    """A method by its registered name; of several, one with today's defaults, and without options.

    Not one on the fully connected network of a rule's source, which no other method shares.
    """
    named = [method for method in each.data.drawn if each.name_of(method) == name]
    found = [method for method in named if each.options_of(method).get("network") != "mlp"]
    return min(found, key=lambda method: (is_old(each.options_of(method)), len(method)), default=None)
