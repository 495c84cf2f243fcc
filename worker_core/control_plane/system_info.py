"""What the control plane is told of this machine."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import time

import msgspec
import psutil

from worker_core import __version__
from worker_core.control_plane.models import SystemInfo
from worker_core.snapshot import Health


def system_info(sample: Health | None = None, *, runtimes: tuple[str, ...]) -> SystemInfo:
    """What the control plane shows of this machine (protocol, 2.2); with a sample, its load as well."""
    known = SystemInfo(
        hostname=socket.gethostname(),
        platform=platform.platform(),
        os_name=platform.system(),
        os_version=platform.release(),
        python_version=platform.python_version(),
        cli_version=__version__,
        sdk_version=__version__,
        pid=os.getpid(),
        supported_runtimes=runtimes,
        docker_available=shutil.which("docker") is not None,
        cpu_count=os.cpu_count(),
        uptime_seconds=round(time.time() - psutil.boot_time(), 1),
    )
    if sample is None:
        return known
    return msgspec.structs.replace(
        known,
        cpu_percent=sample.cpu_percent,
        memory_total=sample.memory_total_bytes,
        memory_used=sample.memory_used_bytes,
        memory_percent=sample.memory_percent,
        disk_total=sample.disk_total_bytes,
        disk_used=sample.disk_used_bytes,
        disk_percent=sample.disk_percent,
    )
