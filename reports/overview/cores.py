"""What a step of NoProp and of backprop would take on more cores: a simulation from races on one and two threads."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from reports.formats.markdown import Markdown, code, markdown_table, number
from reports.formats.prose import prose
from reports.overview.overview import CHAIN, Overview
from reports.overview.pooling import MachineRace, Pool
from reports.statistics.race import race_ratio

CORES = (4, 8, 16)
HEADERS = ["data set", "step of", "1 core", "2 cores", *(f"{cores} cores, simulated" for cores in CORES)]
TEXT = """
Milliseconds per training step, and NoProp's time to backprop's in bold. Times on one and two cores are measured, by
races ({{ links }}); backprop's is NoProp's divided by the race's ratio. The others are a **simulation** from them:
`noprop` trains its T blocks in as few rounds as the cores allow, as many in each (of ten blocks on eight cores, five
at a time), each slowed as two were beside each other; `backprop` uses its threads by
[Amdahl's law](https://en.wikipedia.org/wiki/Amdahl%27s_law), with the share that the second thread made faster. Neither
knows where memory becomes too slow for more cores, which flatters `noprop` most. Cores for which a round has no block
are idle. Blocks side by side each hold their activations, so speed costs memory.

{{ table }}
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What a training step takes on one and on two threads of the same machine, in seconds."""

    one: float
    two: float

    def of_blocks(self, cores: int, num_blocks: int) -> float:
        """A step of blocks that are trained side by side, one thread each."""
        slowed = max(1.0, self.two / self.one * num_blocks / _rounds(num_blocks, 2))
        return _rounds(num_blocks, cores) * self.one / num_blocks * slowed

    def of_threads(self, cores: int) -> float:
        """A step whose operations are split over threads (Amdahl 1967)."""
        alone = min(1.0, max(0.0, 2 * self.two / self.one - 1))
        return self.one * (alone + (1 - alone) / cores)


@dataclass(frozen=True, slots=True)
class Measured:
    """What two races, one thread and two, say of a data set on a processor."""

    what: str
    processor: str
    reference: str
    num_blocks: int
    chain: Step
    whole: Step
    runs: tuple[str, ...]
    block: float | None
    """Activations that one block holds, to all that the reference holds; None where they were not counted."""


def more_cores(overview: Overview) -> Markdown:
    """The table and how it was computed; empty without races on one and on two threads of one machine."""
    steps: dict[tuple[str, str], Measured] = {}
    for each in overview.comparisons:
        for found in _measured(each):  # a race holds for every budget with the same step
            steps.setdefault((found.what, found.processor), found)
    if not steps:
        return ""
    rows = [row for found in steps.values() for row in _rows(found)]
    runs = [run for found in steps.values() for run in found.runs]
    return prose(TEXT, table=markdown_table(HEADERS, rows, text_columns=2), links=overview.links(runs))


def _rows(found: Measured) -> list[list[str]]:
    ours = [found.chain.one, found.chain.two, *(found.chain.of_blocks(cores, found.num_blocks) for cores in CORES)]
    theirs = [found.whole.one, found.whole.two, *(found.whole.of_threads(cores) for cores in CORES)]
    ratios = [f"**{number(mine / other)}**" for mine, other in zip(ours, theirs, strict=True)]
    chain, reference = code(CHAIN), code(found.reference)
    at_once = [math.ceil(found.num_blocks / _rounds(found.num_blocks, cores)) for cores in (1, 2, *CORES)]
    held = [] if found.block is None else [found.block * blocks for blocks in at_once]
    memory = [[found.what, "activations, the same", *(number(each) for each in held)]] if held else []
    return [
        [found.what, chain, *(number(1000 * seconds) for seconds in ours)],
        [found.what, reference, *(number(1000 * seconds) for seconds in theirs)],
        [found.what, f"{chain} to {reference}", *ratios],
        *memory,
    ]


def _rounds(num_blocks: int, cores: int) -> int:
    return math.ceil(num_blocks / cores)


def _measured(each: Pool) -> Iterator[Measured]:
    """For every processor that was raced on one and on two threads."""
    by_processor: dict[str, dict[int, MachineRace]] = {}
    for known in (race for race in each.races if race.is_quiet):
        by_processor.setdefault(known.race.environment.processor, {})[known.race.threads] = known
    for processor, by_threads in by_processor.items():
        races = [by_threads[threads] for threads in (1, 2) if threads in by_threads]
        for label in _chains(each) if len(races) == 2 else ():
            timed = [known for race in races for known in race.race.methods if known.method == label]
            if len(timed) == 2:
                chain = Step(*(statistics.median(known.seconds) for known in timed))
                ratios = [race_ratio(known) for known in timed]
                whole = Step(chain.one / ratios[0], chain.two / ratios[1])
                amp = ", bfloat16" if each.conditions.by_name["amp"] else ""
                runs = tuple(run for race in races for run in race.runs)
                blocks = int(each.options_of(label)["T"])
                memory = each.found.of(label).memory
                block = memory.ratio if memory and each.data.finished[label][0].config.threads == 1 else None
                what, reference = each.data.name + amp, str(each.data.reference)
                yield Measured(what, processor, reference, blocks, chain, whole, runs, block)
                break


def _chains(each: Pool) -> list[str]:
    """Labels of NoProp's chain that trains its blocks side by side where there are threads."""
    found = []
    for method in each.data.drawn:
        options = each.options_of(method)
        if each.name_of(method) == CHAIN and options.get("T", 1) > 1 and options.get("execution", "auto") == "auto":
            found.append(method)
    return found
