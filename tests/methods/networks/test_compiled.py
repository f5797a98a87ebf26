"""The compiled layers give the numbers of PyTorch's operations, and keep less."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from methods.networks import compiled, layers
from methods.networks.layers import Convolutions, Dropout, MaxPoolReLU

SHAPES = [(3, 5, 7, 9), (64, 32, 28, 28), (4, 64, 14, 14), (2, 128, 7, 7), (2, 3, 2, 2), (1, 1100, 3, 5), (0, 32, 4, 4)]
DTYPES = [torch.float32, torch.bfloat16]

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="compiled on Linux with a C compiler alone"
)


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """An empty folder for what is compiled, in which nothing is remembered."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    caches = compiled.functions, compiled._folder
    for each in caches:
        each.cache_clear()
    yield tmp_path / "noprop-bench"
    for each in caches:
        each.cache_clear()


def one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "functions", lambda dtype: None)


def through(shape: tuple[int, ...], dtype: torch.dtype, order: torch.memory_format) -> list[Tensor]:
    """Outputs of both layers, alone and together, and the input's gradients; many numbers are equal or negative."""
    found = []
    for modules in ([MaxPoolReLU()], [MaxPoolReLU(), nn.Identity(), Dropout(0.2)], [MaxPoolReLU(), Dropout(0.2)]):
        torch.manual_seed(0)
        x = torch.randn(shape).round(decimals=1).to(dtype).contiguous(memory_format=order).requires_grad_()
        y = Convolutions(*modules)(x)
        y.backward(torch.randn(y.shape).to(dtype))
        assert x.grad is not None
        found += [y.detach(), x.grad]
    return found


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
def test_their_numbers_are_those_of_pytorch_s_operations(
    shape: tuple[int, ...], dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compiled.functions(dtype) is not None
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for order in (torch.channels_last, torch.contiguous_format):
            ours = through(shape, dtype, order)
            with monkeypatch.context() as context:
                one_after_another(context)
                theirs = through(shape, dtype, order)
            for one, other in zip(ours, theirs, strict=True):
                assert one.dtype == dtype
                assert torch.equal(one, other)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_is_no_number_stays_so_and_so_does_infinity(dtype: torch.dtype) -> None:
    x = torch.tensor([[1.0, float("nan")], [3.0, 2.0]], dtype=dtype).view(1, 1, 2, 2)
    y = MaxPoolReLU()(x)
    assert y.isnan().all()
    assert Dropout(0.2).train()(y).isnan().all()
    assert MaxPoolReLU()(x.nan_to_num(float("inf"))).isinf().all()
    assert MaxPoolReLU()(torch.full((1, 1, 2, 2), -1.0, dtype=dtype)).eq(0).all()


def test_bfloat16_is_rounded_as_pytorch_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    every = torch.arange(2**16).to(torch.int32).to(torch.uint16).view(torch.bfloat16).view(1, 1, 256, 256)

    def scaled() -> Tensor:
        torch.manual_seed(0)
        y: Tensor = Dropout(0.3).train()(every)
        return y

    ours = scaled()
    one_after_another(monkeypatch)
    torch.testing.assert_close(ours, scaled(), rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fraction", [0.0, 0.2, 1.0])
def test_in_one_pass_they_are_what_they_are_apart(fraction: float, dtype: torch.dtype) -> None:
    """In training and evaluation, whatever is dropped, and also where a gradient is not a number."""
    pool, dropout = MaxPoolReLU(), Dropout(fraction)
    for training in (True, False):
        dropout.train(training)
        results = []
        for both in (Convolutions(pool, dropout), nn.Sequential(pool, dropout)):
            torch.manual_seed(0)
            x = torch.randn(4, 40, 9, 60).to(dtype)
            x[1, :20], x[1, 20:] = float("nan"), float("inf")
            y = both(x.requires_grad_())
            grad = torch.randn(y.shape).to(dtype)
            grad[0] = float("nan")
            y.backward(grad)
            results.append([y.detach(), x.grad])
        for together, apart in zip(*results, strict=True):
            assert together is not None
            torch.testing.assert_close(together, apart, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(("network", "held"), [(Convolutions, 1), (nn.Sequential, 2)])
def test_a_byte_is_kept_for_each_output_of_a_pass(network: type[nn.Sequential], held: int) -> None:
    kept: list[Tensor] = []

    def keep(tensor: Tensor) -> Tensor:
        kept.append(tensor)
        return tensor

    x = torch.randn(8, 32, 28, 28, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        y = network(MaxPoolReLU(), Dropout(0.2))(x)
    assert sum(each.nbytes for each in kept) == held * y.numel()


def test_nothing_is_kept_without_a_gradient() -> None:
    with torch.no_grad():
        assert not MaxPoolReLU()(torch.randn(1, 3, 4, 4, requires_grad=True)).requires_grad


def test_what_is_kept_may_be_laid_out_anew() -> None:
    x = torch.randn(2, 3, 4, 4, requires_grad=True)

    def gradient() -> Tensor:
        torch.manual_seed(0)
        (found,) = torch.autograd.grad(Convolutions(MaxPoolReLU(), Dropout(0.5))(x).square().sum(), x)
        return found

    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.contiguous(), lambda tensor: tensor):
        moved = gradient()
    assert torch.equal(moved, gradient())


def test_a_map_that_is_too_small_is_refused_as_by_pytorch() -> None:
    with pytest.raises(RuntimeError, match="too small"):
        MaxPoolReLU()(torch.randn(2, 3, 1, 4))


def test_numbers_that_are_only_described_are_pytorch_s() -> None:
    with FakeTensorMode():
        assert Convolutions(MaxPoolReLU(), Dropout(0.5))(torch.randn(1, 2, 4, 4)).shape == (1, 2, 2, 2)


def test_fast_arithmetic_is_not_taken_from_the_compiler_s_flags(anew: Path) -> None:
    program = (
        "import torch\n"
        "from methods.networks.layers import MaxPoolReLU, functions\n"
        "assert functions(torch.float32)\n"
        "assert MaxPoolReLU()(torch.full((1, 16, 2, 2), float('nan'))).isnan().all()\n"
        "assert (torch.tensor(1e-40) * 1.0).item() > 0\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env=os.environ | {"CC": "cc -ffast-math"})


def test_a_compiler_that_hangs_is_ended_with_all_that_it_started(
    anew: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/started\nwait\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("CC", str(compiler))
    monkeypatch.setattr(compiled, "_SECONDS", 1)
    assert compiled.functions(torch.float32) is None
    started = int((tmp_path / "started").read_text())
    assert not psutil.pid_exists(started) or psutil.Process(started).status() == psutil.STATUS_ZOMBIE


def test_under_vmap_they_are_pytorch_s() -> None:
    x = torch.randn(3, 2, 4, 6, 6)
    pooled = torch.stack([F.max_pool2d(each, 2).relu() for each in x])
    assert torch.equal(torch.vmap(Convolutions(MaxPoolReLU(), Dropout(0.5).eval()))(x), pooled)


def test_a_library_is_compiled_once(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert compiled.functions(torch.float32) is not None
    (built,) = anew.iterdir()
    compiled.functions.cache_clear()
    monkeypatch.setattr(compiled, "_run", lambda *_: pytest.fail("compiled again"))
    assert compiled.functions(torch.float32) is not None
    assert list(anew.iterdir()) == [built]


@pytest.mark.parametrize("compiler", ["/nowhere/cc", "false", "true"])
def test_without_a_compiler_that_works_there_are_none(
    compiler: str, anew: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler)
    assert compiled.functions(torch.float32) is None
    assert MaxPoolReLU()(torch.ones(1, 1, 2, 2)).item() == 1.0
    assert not list(anew.iterdir())


def test_a_library_that_cannot_be_loaded_is_passed_over_and_the_next_process_makes_another(anew: Path) -> None:
    program = "import torch; from methods.networks.compiled import functions; print(functions(torch.float32))"

    def loaded() -> str:
        return subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout

    assert "Functions" in loaded()
    (built,) = anew.iterdir()
    built.write_bytes(b"no library")
    assert loaded() == "None\n"
    assert "Functions" in loaded()


def test_where_nothing_can_be_kept_it_is_compiled_for_the_process(anew: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = anew.parent / "file"
    file.touch()
    monkeypatch.setattr(tempfile, "tempdir", str(anew.parent))
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    assert compiled.functions(torch.float32) is not None


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_numbers_are_pytorch_s(dtype: torch.dtype) -> None:
    assert compiled.functions(dtype) is None
    x = torch.randn(2, 3, 5, 4).to(dtype)
    assert torch.equal(MaxPoolReLU()(x), F.max_pool2d(x, 2).relu())


def test_the_threads_are_those_of_pytorch() -> None:
    """No second OpenMP runtime comes with the library, whose threads would wait for the same cores."""
    program = (
        "import re, sklearn.linear_model, torch\n"
        "from methods.networks.compiled import functions\n"
        "def runtimes():\n"
        "    return set(re.findall(r'/\\S*(?:libgomp|libiomp|libomp)\\S*', open('/proc/self/maps').read()))\n"
        "before = runtimes()\n"
        "assert functions(torch.float32)\n"
        "assert runtimes() == before, runtimes()\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
