"""Results on disk: the schema of a cell and of a run, and the reader and writer of a run's folder."""

from results.schema import SCHEMA_VERSION, CellConfig, CellResult, DataRecord, Environment, EpochRecord, RunRecord
from results.store import ResultsError, append_cell, create_run, read_cells, read_run, to_epoch_frame, to_frame

__all__ = [
    "SCHEMA_VERSION",
    "CellConfig",
    "CellResult",
    "DataRecord",
    "Environment",
    "EpochRecord",
    "ResultsError",
    "RunRecord",
    "append_cell",
    "create_run",
    "read_cells",
    "read_run",
    "to_epoch_frame",
    "to_frame",
]
