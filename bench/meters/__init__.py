"""The meters, one kind of counter a file, each tested against a known answer. Listed here is what runs for every cell.

`activations` and `flops` are not listed: `bench.training.probes` puts them around single steps of models of their own.
"""

from bench.meters.base import Meter
from bench.meters.cpu import CpuClock, CpuTime
from bench.meters.gpu import GpuActivity, GpuMemory
from bench.meters.rapl import RaplEnergy
from bench.meters.rss import PeakRss, RssSeries

INSIDE: tuple[type[Meter], ...] = (GpuMemory, PeakRss)
"""In the cell's own process, from before the model is built to after the last evaluation, a stretch from checkpoint to
checkpoint; started in this order and stopped in the reverse one."""
OUTSIDE: tuple[type[Meter], ...] = (CpuTime, GpuActivity, RaplEnergy, CpuClock, RssSeries)
"""In the harness, one stretch for each epoch's training (evaluation is left out); started and stopped in this order."""
