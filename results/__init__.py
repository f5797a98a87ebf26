"""Results on disk: `schema` has the records of a run and its cells, `store` reads and writes a run's folder."""

import itertools
import os
import sys


def _leave_out_working_directory() -> None:
    """For `python -m bench.run` and the like: a file `torch.py` of the user's is not taken for the library.

    Python looks into the working directory first, which is left out here unless our packages are in it.
    """
    module = next((after for word, after in itertools.pairwise(sys.orig_argv) if word == "-m"), "")
    is_command = sys.argv[:1] == ["-m"] and module.partition(".")[0] in ("bench", "reports")
    ours = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120  (pathlib may be theirs)
    if is_command and not sys.flags.safe_path and sys.path[0] != ours:
        del sys.path[0]


_leave_out_working_directory()
