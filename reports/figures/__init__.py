"""The figures of a report, and their one style."""

import contextlib
import logging
import os

logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that its cache cannot be written is nobody's concern
_backend = os.environ.pop("MPLBACKEND", None)  # of a name that it lacks, matplotlib would end its import
import matplotlib as mpl  # noqa: E402

if _backend is not None:
    os.environ["MPLBACKEND"] = _backend
    with contextlib.suppress(ValueError):
        mpl.rcParams["backend"] = _backend  # for figures of a notebook's; ours are drawn without it
