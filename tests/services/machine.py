"""A machine whose process 1 is systemd, in namespaces of its own: what it installs, and whom it makes, is gone with it.

Nothing but the units that a test installs is started: of systemd's own there are targets alone, since others would
sweep /tmp and set the kernel up.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

SYSTEMD = Path("/lib/systemd/systemd")
PROGRAM = Path("/opt/kubiya/bin/python")
"""Runs the worker of this repository, where a service may see it: with Debian's Python, in a folder of its own. The
code is bound beside it, since it may lie in a home or a temporary folder, of which services see nothing."""

_BOOT_SECONDS = 60
_REPOSITORY = Path(__file__).resolve().parent.parent.parent
_TARGETS = (
    "basic", "default", "local-fs", "multi-user", "network-online", "paths", "shutdown", "slices", "sockets", "sysinit",
    "timers", "umount",
)  # fmt: skip

_BOOT = """
set -e
mount --make-rprivate /
mount -t proc proc /proc
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
for folder in etc var; do
    mkdir -p /run/over/$folder/up /run/over/$folder/work
    mount -t overlay overlay -o lowerdir=/$folder,upperdir=/run/over/$folder/up,workdir=/run/over/$folder/work /$folder
done
mount -t tmpfs -o mode=755 tmpfs /opt
umount -l -R /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
rm -rf /etc/systemd/system /etc/systemd/user
mkdir -p /etc/systemd/system /etc/systemd/user /run/systemd/system /run/units
for target in $TARGETS; do ln -s /lib/systemd/system/$target.target /run/units/; done
/usr/bin/python3 -m venv --without-pip --symlinks /opt/kubiya
number=0
for path in $PATHS; do
    number=$((number + 1))
    mkdir -p /opt/code/$number
    mount --bind "$path" /opt/code/$number
    echo /opt/code/$number
done >"$(echo /opt/kubiya/lib/python3*/site-packages)/kubiya.pth"
mount --make-rshared /
exec env -i container=kubiya PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    SYSTEMD_UNIT_PATH=/etc/systemd/system:/run/systemd/system:/run/units \\
    /lib/systemd/systemd --system --unit=basic.target --log-target=null --show-status=no
"""


def missing() -> str:
    """Why there can be no such machine here; empty: there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "needs root on Linux"
    for program in ("unshare", "nsenter", "systemctl", "systemd-analyze", "useradd", "setpriv"):
        if shutil.which(program) is None:
            return f"needs {program}"
    if not SYSTEMD.exists():
        return "needs systemd"
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    said = subprocess.run(["/usr/bin/python3", "--version"], capture_output=True, text=True, check=False).stdout
    if not said.startswith(f"Python {own}."):
        return f"needs a Python {own} in /usr/bin, which a service may see"
    return ""


@dataclass(frozen=True, slots=True)
class Machine:
    """One that runs. `process` is its process 1, as it is seen from outside."""

    process: int

    def run(self, *words: str, user: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """A program in it."""
        as_user = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        return subprocess.run(
            ["nsenter", f"--target={self.process}", "--mount", "--pid", "--wdns=/", *as_user, *words],
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", **variables},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    def told(self, *words: str, user: str = "", **variables: str) -> str:
        """What it prints; it succeeds."""
        done = self.run(*words, user=user, **variables)
        assert done.returncode == 0, f"{words}: {done.stdout} {done.stderr}"
        return done.stdout.strip()

    def path(self, path: str) -> Path:
        """A path in it, as it is seen from outside."""
        return Path(f"/proc/{self.process}/root{path}")


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """A machine that has started; ended behind the block with all that runs on it.

    Raises:
        RuntimeError: it does not start here.
    """
    paths = [str(_REPOSITORY), *(one for one in sys.path if one.endswith("site-packages"))]
    started = subprocess.Popen(
        ["unshare", "--mount", "--pid", "--fork", "--ipc", "--uts", "--kill-child", "sh", "-c", _BOOT],
        env={"PATH": os.environ["PATH"], "TARGETS": " ".join(_TARGETS), "PATHS": " ".join(paths)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield _started(started)
    finally:
        for child in psutil.Process(started.pid).children() if started.poll() is None else ():
            child.kill()  # process 1: all others end with it
        started.wait(60)
        assert started.stderr is not None
        started.stderr.close()


def _started(process: subprocess.Popen[str]) -> Machine:
    end = time.monotonic() + _BOOT_SECONDS
    while time.monotonic() < end and process.poll() is None:
        children = psutil.Process(process.pid).children()
        if children and Path(f"/proc/{children[0].pid}/comm").read_text() == "systemd\n":
            found = Machine(children[0].pid)
            if found.run("systemctl", "is-system-running").stdout.strip() in {"running", "degraded"}:
                return found
        time.sleep(0.05)
    process.kill()
    assert process.stderr is not None
    raise RuntimeError(f"systemd did not start: {process.stderr.read()[-500:]}")
