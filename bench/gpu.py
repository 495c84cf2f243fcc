"""What GPU programs do here, in the sandbox and outside: `python -m bench.gpu`, on a machine with a GPU, in minutes.

python -m bench.gpu [--python PYTHON] [--json]

It asks the driver, starts CUDA by its own library alone, and trains a tiny model with PyTorch and JAX where the Python
of `--python` has them: outside, in the sandbox with the GPUs of `gpu = "auto"`, and in the sandbox without, where each
must find none. Elsewhere it says what is missing, and ends with 3.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from worker_core.machine import gpu_facts
from worker_core.machine.gpus import MACHINE as GPUS
from worker_core.machine.gpus import NO_GPU
from worker_core.paths import Paths
from worker_core.sandbox.call import run_process
from worker_core.sandbox.choice import choose
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.environment import tool_environment
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.settings import Settings

LIMIT: Final = timedelta(seconds=90)
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


WHERE: Final = ("outside", "with GPUs", "without")
"""Where each case runs: no sandbox, one that is given GPUs, one that is not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    name: str
    where: str
    verdict: str
    """`ok`, `failed`, or `missing`. Without GPUs it is ok that a program ends because it finds none."""

    said: str
    seconds: float | None = None


def has_module(module: str, python: str) -> bool:
    """Whether an interpreter has a module."""
    return (
        not module
        or not subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode
    )


async def run(name: str, text: str, python: str, *, where: str, launcher: Launcher, folder: Path) -> Case:
    """One case in a process of its own.

    Args:
        name: of the case.
        text: the program; it ends with 0 where it worked.
        python: what it is run by. In the sandbox its own installation can be read.
        where: of `WHERE`.
        launcher: of the sandbox; outside it is not asked.
        folder: its workspace.
    """
    place = await asyncio.to_thread(installation, python)
    command = Command(
        argv=[python, "-c", text],
        cwd=folder,
        environment=tool_environment({}, call_mark="bench", inherited={"PATH": os.environ["PATH"]}),
        readable=place,
        gpus=GPUS.find("auto").grant if where == "with GPUs" else NO_GPU,
    )
    if where != "outside":
        command = await asyncio.to_thread(launcher.wrap, command, workspace=folder)
    began = time.perf_counter()
    result = await run_process(command, timeout=LIMIT, output_limit_bytes=20_000)
    seconds = time.perf_counter() - began
    lines = b"".join(result.output.ends()).decode("utf-8", "replace").strip().splitlines()
    result.output.close()
    said = lines[-1] if lines else f"exit {result.exit_code}"
    if result.timed_out:
        return Case(name=name, where=where, verdict="failed", said=f"It did not end within {LIMIT.seconds} s.")
    worked = result.exit_code == 0
    verdict = "ok" if worked is (where != "without") else "failed"
    return Case(name=name, where=where, verdict=verdict, said=said, seconds=seconds)


def installation(python: str) -> tuple[Path, ...]:
    """Folders that an interpreter is made of."""
    asked = "import sys; print(sys.prefix); print(sys.base_prefix)"
    said = subprocess.run([python, "-c", asked], capture_output=True, text=True, check=True).stdout.splitlines()
    return tuple(Path(one) for one in dict.fromkeys(said))


async def measure(python: str, cases: Mapping[str, tuple[str, str]]) -> list[Case]:
    """All cases in all places.

    Args:
        python: what they are run by.
        cases: as `CASES`.
    """
    found: list[Case] = []
    with tempfile.TemporaryDirectory(prefix="kubiya-gpu-") as folder:
        home = Path(folder)
        workspace = home / "workspace"
        workspace.mkdir()
        paths = Paths(config=home / "config", state=home / "state", runtime=home / "run")
        chosen = choose(Settings(require_sandbox="always"), paths)
        try:
            for name, (module, text) in cases.items():
                if not has_module(module, python):
                    found.append(Case(name=name, where="", verdict="missing", said=f"{python} has no module {module}."))
                    continue
                for where in WHERE:
                    if where != "outside" and chosen.launcher is None:
                        found.append(Case(name=name, where=where, verdict="missing", said=str(chosen.reason)))
                        continue
                    launcher = chosen.launcher or DirectLauncher()
                    found.append(await run(name, text, python, where=where, launcher=launcher, folder=workspace))
        finally:
            chosen.close()
    return found


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
    cases = asyncio.run(measure(options.python, CASES))
    if options.json:
        gpus: list[dict[str, Any]] = [
            {"name": one.name, "driver": one.driver, "memory_bytes": one.memory_bytes} for one in found.gpus
        ]
        rows = [asdict(one) for one in cases]
        print(json.dumps({"gpus": gpus, "cases": rows}, indent=1))
    else:
        for gpu in found.gpus:
            print(f"{gpu.index}: {gpu.name}, driver {gpu.driver}")
        for one in cases:
            took = "" if one.seconds is None else f" ({one.seconds:.1f} s)"
            print(f"{one.name:8} {one.where:10} {one.verdict:8} {one.said}{took}")
    return 0 if all(one.verdict != "failed" for one in cases) else 1


if __name__ == "__main__":
    sys.exit(main())
