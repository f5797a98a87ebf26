"""The functions of `compiled.c`, compiled on this machine the first time that they are wanted.

Only where it can be done without a risk: on Linux, with a C compiler, beside the OpenMP runtime that PyTorch has loaded
(a second one would have threads of its own, which wait for the same cores). Elsewhere there are none, and layers are
PyTorch's operations one after another: the same numbers, with more memory and time.
"""

from __future__ import annotations

import atexit
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

_EXACT = "-fno-fast-math"
"""Whatever `CC` says; when it is linked, too, or all of the process would take tiny numbers for 0."""
_SOURCE = Path(__file__).with_suffix(".c")
_FLAGS = ("-O3", "-march=native", "-ffp-contract=off", _EXACT, "-fPIC", "-fopenmp")
_DTYPES = {torch.float32: (), torch.bfloat16: ("-DBFLOAT16",)}
_SECONDS = 60
"""A compiler that takes longer is stopped."""
_GRAIN = 2**15
"""Numbers that are worth a further thread."""


class Functions:
    """Those for one type of numbers. Tensors are dense, on the CPU and of that type; images lie in `channels_last`."""

    def __init__(self, library: ctypes.CDLL) -> None:
        address, count, whole, number = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int, ctypes.c_float
        library.pool.argtypes = [address] * 4 + [count] * 4 + [whole, number, whole]
        library.pool_back.argtypes = [address] * 3 + [count] * 4 + [number, whole]
        library.drop.argtypes = [address] * 4 + [count, whole, number, whole]
        library.drop_back.argtypes = [address] * 3 + [count, number, whole]
        for name in ("pool", "pool_back", "drop", "drop_back"):
            getattr(library, name).restype = None
        self._library = library

    def pool(self, x: Tensor, dropout: tuple[Tensor, int, float] | None = None) -> tuple[Tensor, Tensor]:
        """The ReLU of maxima of 2x2 of x, (batch, channels, height, width), and what `pool_back` needs of it.

        `dropout` is what `drop` takes beside x; with it, the result is dropped out, too.
        """
        batch, channels, height, width = x.shape
        y = _empty((batch, channels, height // 2, width // 2), x.dtype)
        places = _empty(y.shape, torch.uint8)
        random, bound, scale = dropout or (None, 0, 1.0)
        self._library.pool(
            x.data_ptr(),
            None if random is None else random.data_ptr(),
            y.data_ptr(),
            places.data_ptr(),
            batch,
            height,
            width,
            channels,
            bound,
            scale,
            _threads(x.numel()),
        )
        return y, places

    def pool_back(self, grad: Tensor, places: Tensor, shape: torch.Size, scale: float = 1.0) -> Tensor:
        """The gradient of x, of that shape, from that of y; with dropout, its scale."""
        batch, channels, height, width = shape
        to = _empty(shape, grad.dtype)
        self._library.pool_back(
            grad.data_ptr(),
            places.data_ptr(),
            to.data_ptr(),
            batch,
            height,
            width,
            channels,
            scale,
            _threads(to.numel()),
        )
        return to

    def drop(self, x: Tensor, random: Tensor, bound: int, scale: float) -> tuple[Tensor, Tensor]:
        """X * kept * scale, and kept: where `random`, 16 bits for each of x's numbers as they lie, is >= bound."""
        y, kept = torch.empty_like(x), torch.empty_like(x, dtype=torch.uint8)
        self._library.drop(
            x.data_ptr(), random.data_ptr(), y.data_ptr(), kept.data_ptr(), x.numel(), bound, scale, _threads(x.numel())
        )
        return y, kept

    def drop_back(self, grad: Tensor, kept: Tensor, scale: float) -> Tensor:
        """The gradient of x from that of y; both lie alike."""
        to = torch.empty_like(grad)
        self._library.drop_back(
            grad.data_ptr(), kept.data_ptr(), to.data_ptr(), grad.numel(), scale, _threads(grad.numel())
        )
        return to


@cache
def functions(dtype: torch.dtype) -> Functions | None:
    """Those for this type of numbers; None where there are none."""
    if dtype not in _DTYPES or sys.platform != "linux":
        return None
    try:
        compiler = shlex.split(os.environ.get("CC") or next(filter(shutil.which, ("cc", "gcc", "clang")), ""))
        runtime = openmp_runtime()
        if not compiler or runtime is None:
            return None
        ctypes.CDLL(runtime, mode=ctypes.RTLD_GLOBAL)  # what the library takes from OpenMP is found there
        return _loaded(_built(compiler, (*_FLAGS, *_DTYPES[dtype])))
    except (OSError, ValueError, AttributeError, subprocess.SubprocessError):
        return None


def _loaded(library: Path) -> Functions:
    """From that file; one that cannot be loaded is built anew by the next process.

    Raises:
        OSError: it cannot be loaded.
        AttributeError: it lacks a function.
    """
    try:
        return Functions(ctypes.CDLL(str(library)))
    except (OSError, AttributeError):
        library.unlink(missing_ok=True)
        raise


def openmp_runtime() -> str | None:
    """The file of the runtime that PyTorch's threads come from; other libraries may have loaded others."""
    with suppress(OSError, AttributeError):
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        address = ctypes.cast(library.omp_get_max_threads, ctypes.c_void_p).value or 0
        for line in Path("/proc/self/maps").read_text().splitlines():
            first, last = (int(end, 16) for end in line.split()[0].split("-"))
            if first <= address < last:
                file = line.split(maxsplit=5)[-1]
                return file if file.startswith("/") else None
    return None


def _built(compiler: list[str], flags: tuple[str, ...]) -> Path:
    """The library, from where it was left or else anew.

    Raises:
        OSError: there is no place for it.
        subprocess.SubprocessError: the compiler fails.
    """
    processor = platform.processor()
    with suppress(OSError):
        processor = next(iter(Path("/proc/cpuinfo").read_text().split("\n\n")), "")
        processor = "".join(line for line in processor.splitlines() if line.startswith(("flags", "Features", "model")))
    key = hashlib.sha256("\n".join([*compiler, *flags, processor, _SOURCE.read_text()]).encode()).hexdigest()[:16]
    folder = _folder()
    built = folder / f"layers-{key}.so"
    if not built.exists():
        with tempfile.TemporaryDirectory(dir=folder) as aside:
            parts = [Path(aside) / "layers.o", Path(aside) / "layers.so"]
            for step in (
                [*compiler, *flags, "-c", str(_SOURCE), "-o", str(parts[0])],
                [
                    *compiler,
                    "-shared",
                    _EXACT,
                    str(parts[0]),
                    "-o",
                    str(parts[1]),
                ],
            ):
                _run(step)
            with parts[1].open("rb") as library:
                os.fsync(library)  # half a library would end the process that loads it
            parts[1].replace(built)
    return built


def _run(command: list[str]) -> None:
    """Run it without a word, and end it with all that it started if it takes too long.

    Raises:
        OSError: there is no such program.
        subprocess.SubprocessError: it fails, or takes too long.
    """
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True) as process:
        try:
            code = process.wait(_SECONDS)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if code != 0:
        raise subprocess.CalledProcessError(code, command)


@cache
def _folder() -> Path:
    """Where libraries are kept, or, where nothing can be, for this process alone."""
    with suppress(OSError, RuntimeError):
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "noprop-bench"
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    folder = Path(tempfile.mkdtemp(prefix="noprop-bench-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _empty(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    return torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)


def _threads(numbers: int) -> int:
    return max(1, min(torch.get_num_threads(), numbers // _GRAIN))
