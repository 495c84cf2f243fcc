"""What GPU programs do here, outside the sandbox: `python -m bench.gpu`, on a machine with an NVIDIA GPU, in minutes.

python -m bench.gpu [--json]

It asks the driver, starts CUDA by its own library alone, and trains a tiny model with PyTorch and JAX where the Python
of `--python` has them. Elsewhere it says what is missing, and ends with 3.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from worker_core.machine import gpu_facts

LIMIT_SECONDS: Final = 240.0
NOTHING_HERE: Final = 3

CUDA: Final = """
import ctypes, sys
cuda = ctypes.CDLL({"win32": "nvcuda.dll"}.get(sys.platform, "libcuda.so.1"))
code, number, version = cuda.cuInit(0), ctypes.c_int(), ctypes.c_int()
assert code == 0, f"cuInit says {code}"
assert cuda.cuDeviceGetCount(ctypes.byref(number)) == 0 and cuda.cuDriverGetVersion(ctypes.byref(version)) == 0
print(f"{number.value} devices, CUDA {version.value // 1000}.{version.value % 1000 // 10}")
"""

PYTORCH: Final = """
import torch
assert torch.cuda.is_available(), "no GPU is seen"
x = torch.randn(4096, 64, device="cuda"); y = x.sum(dim=1, keepdim=True)
model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 1)).cuda()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
first = None
for _ in range(200):
    optimizer.zero_grad(); loss = ((model(x) - y) ** 2).mean(); loss.backward(); optimizer.step()
    first = first or loss.item()
assert loss.item() < first / 10, "it does not learn"
print(f"PyTorch {torch.__version__}, loss {first:.1f} to {loss.item():.3f}")
"""

JAX: Final = """
import jax, jax.numpy as np
assert jax.devices()[0].platform == "gpu", "no GPU is seen"
x = jax.random.normal(jax.random.key(0), (4096, 64)); y = x.sum(axis=1)
loss = jax.jit(lambda w: ((x @ w - y) ** 2).mean()); step = jax.jit(lambda w: w - 0.1 * jax.grad(loss)(w))
w = np.zeros(64); first = float(loss(w))
for _ in range(100): w = step(w)
assert float(loss(w)) < first / 10, "it does not learn"
print(f"JAX {jax.__version__}, loss {first:.1f} to {float(loss(w)):.3f}")
"""

CASES: Final = {"CUDA": ("", CUDA), "PyTorch": ("torch", PYTORCH), "JAX": ("jax", JAX)}
"""By name: the module that it needs, and the program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    verdict: str
    """`ok`, `failed`, or `missing`."""

    said: str
    seconds: float | None = None


def run(name: str, python: str) -> Case:
    """One case in a process of its own."""
    module, text = CASES[name]
    if module and subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode:
        return Case(name=name, verdict="missing", said=f"{python} has no module {module}.")
    began = time.perf_counter()
    try:
        done = subprocess.run([python, "-c", text], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return Case(name=name, verdict="failed", said=f"It did not end within {LIMIT_SECONDS:g} s.")
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines() or [f"exit {done.returncode}"]
    verdict = "ok" if done.returncode == 0 else "failed"
    return Case(name=name, verdict=verdict, said=lines[-1], seconds=time.perf_counter() - began)


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gpu", description=__doc__.splitlines()[0])
    parser.add_argument("--python", default=sys.executable, help="the interpreter that has PyTorch or JAX")
    parser.add_argument("--json", action="store_true", help="for scripts")
    options = parser.parse_args(given)
    if not gpu_facts.has_driver():
        print("There is no driver of NVIDIA's here: nothing was measured.", file=sys.stderr)
        return NOTHING_HERE
    found = gpu_facts.look()
    if found.trouble:
        print(found.trouble, file=sys.stderr)
        return NOTHING_HERE
    cases = [run(name, options.python) for name in CASES]
    if options.json:
        gpus: list[dict[str, Any]] = [
            {"name": one.name, "driver": one.driver, "memory_bytes": one.memory_bytes} for one in found.gpus
        ]
        rows = [{"name": one.name, "verdict": one.verdict, "said": one.said, "seconds": one.seconds} for one in cases]
        print(json.dumps({"gpus": gpus, "cases": rows}, indent=1))
    else:
        for gpu in found.gpus:
            print(f"{gpu.index}: {gpu.name}, driver {gpu.driver}")
        for one in cases:
            took = "" if one.seconds is None else f" ({one.seconds:.1f} s)"
            print(f"{one.name:8} {one.verdict:8} {one.said}{took}")
    return 0 if all(one.verdict != "failed" for one in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
