"""GPUs for machines without one: nodes of the kernel's own memory devices in their places."""

from __future__ import annotations

from pathlib import Path

from worker_core.machine.gpus import GpuGrant

GPUS = GpuGrant(
    nodes=(
        (Path("/dev/null"), Path("/dev/nvidiactl")),
        (Path("/dev/zero"), Path("/dev/nvidia-uvm")),
        (Path("/dev/full"), Path("/dev/nvidia0")),
        (Path("/dev/null"), Path("/dev/nvidia-caps/nvidia-cap12")),
    ),
    variables={"CUDA_VISIBLE_DEVICES": "0", "HIP_VISIBLE_DEVICES": "-1", "LD_LIBRARY_PATH": "/usr/local/nvidia/lib64"},
    count=1,
)
