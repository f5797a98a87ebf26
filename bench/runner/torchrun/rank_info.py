"""Which rank this process is under torchrun, and what that rules out."""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from bench.errors import UserError
from bench.runner.launchers.placement import Placement
from results.schema import CellResult, PlannedCell


@dataclass(frozen=True)
class RankInfo:
    """One of the processes that torchrun has started."""

    rank: int
    ranks: int
    local_rank: int
    """Among those on this machine."""
    local_ranks: int

    def device(self, planned: str) -> str:
        """`cpu`, or this rank's own card in place of the planned one."""
        return f"cuda:{self.local_rank}" if planned.startswith("cuda") else planned


def find_rank_info() -> RankInfo | None:
    """This process's rank; None where torchrun has not started it."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return RankInfo(*(int(os.environ[name]) for name in names))


def command_start(rank_info: RankInfo | None) -> list[str]:
    """How a command line begins that does this again on as many ranks."""
    if rank_info is None:
        return ["python", "-m", "bench.run"]
    return ["torchrun", "--nproc-per-node", str(rank_info.local_ranks), "-m", "bench.run"]


def check_launch(rank_info: RankInfo | None, cells: Iterable[PlannedCell], placement: Placement) -> None:
    """Check that these cells can be run by what was started.

    Raises:
        UserError: one process where several are asked for, or the other way round, or too few cards for the ranks.
    """
    configs = [cell.config for cell in cells]
    if not any(config.parallel for config in configs):
        if rank_info is not None:
            raise UserError(
                f"torchrun has started {rank_info.ranks} processes, and each would do the whole run: add --parallel "
                "blocks, or start it with python -m bench.run"
            )
        return
    if placement.is_remote:
        raise UserError(
            f"--launcher {placement.launcher} is not accepted with --parallel blocks: torchrun starts its processes "
            "itself"
        )
    if rank_info is None:
        raise UserError(
            "--parallel blocks needs the processes that torchrun starts, and there are none: start it with "
            "torchrun --nproc-per-node N -m bench.run"
        )
    if placement.jobs > 1:
        raise UserError(
            f"--jobs {placement.jobs} is not accepted with --parallel blocks: all ranks work on one cell at a time"
        )
    if cards := {config.device for config in configs if config.device != "cpu"}:
        import torch

        if cards != {"cuda:0"}:
            raise UserError(
                f"device {', '.join(sorted(cards))} is not accepted with --parallel blocks: each rank takes a card of "
                "its own, so give cuda, cpu or auto"
            )
        if torch.cuda.device_count() < rank_info.local_ranks:
            raise UserError(
                f"{rank_info.local_ranks} ranks need a card each, and here are only {torch.cuda.device_count()}: start "
                "fewer, or give --device cpu"
            )


def check_ranks(rank_info: RankInfo | None, finished: Iterable[CellResult]) -> None:
    """Check that a run is resumed with as many ranks as it had.

    Raises:
        UserError: a finished cell had another number.
    """
    ranks = rank_info.ranks if rank_info else 1
    for cell in finished:
        if cell.status == "ok" and cell.world_size != ranks:
            raise UserError(
                f"a resumed run keeps its number of ranks, which is {cell.world_size}, and here are {ranks}: start it "
                f"with torchrun --nproc-per-node {cell.world_size}"
            )
