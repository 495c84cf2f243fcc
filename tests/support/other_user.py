"""Runs something as another user, in a mount namespace of its own; and as a restricted pod would. It takes root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

needs_root = (
    pytest.mark.skipif(sys.platform != "linux", reason="mount namespaces are Linux's"),
    pytest.mark.skipif(hasattr(os, "getuid") and os.getuid() != 0, reason="only root becomes another user"),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in ("unshare", "setpriv", "mount")),
        reason="util-linux (unshare, setpriv, mount) is not installed",
    ),
)

# Folders on the way to this Python and to these tests may be closed to others, as /root is: in this namespace an empty
# folder with the same name leads there instead.
_SCRIPT = r"""
set -ef
IFS=$'\n'
for closed in $CLOSED; do
    mkdir -p "$HOLD$closed"
    mount --bind "$closed" "$HOLD$closed"
    mount -t tmpfs -o mode=755 none "$closed"
    for needed in $NEEDED; do
        case "$needed" in "$closed"/*)
            mkdir -p "$needed"
            mount --bind "$HOLD$needed" "$needed" ;;
        esac
    done
done
unset IFS
"""
_BASH_AS_SH = r"""
mount --bind "$(readlink -f "$BASH")" "$(readlink -f /bin/sh)"
[ -n "$(/bin/sh -c 'echo "$BASH_VERSION"')" ]
"""
_READ_ONLY = r"""
mount --bind "$HOLD" "$HOLD"
mount -o remount,bind,ro /
"""
_AS_USER = 'exec setpriv --reuid="$USER_ID" --regid="$GROUP_ID" --clear-groups --inh-caps=-all "$@"\n'
_IN_A_POD = r"""
exec "$PYTHON" -m tests.support.other_user setpriv --reuid="$USER_ID" --regid="$GROUP_ID" --clear-groups \
    --inh-caps=-all --bounding-set=-all --no-new-privs env -u HOME -u HOLD -u CLOSED -u NEEDED "$@"
"""
NOBODY = 65534
"""A user id of every machine."""

OF_A_POD = 1_000_680_000
"""As OpenShift gives them: in no passwd; its group is root's."""


@contextmanager
def folder_for(user: int) -> Iterator[Path]:
    """One that another user may write; pytest's own are closed to others."""
    made = Path(tempfile.mkdtemp(prefix="kb-user-"))
    made.chmod(0o711)
    for name in ("home", "tmp"):
        (made / name).mkdir()
        os.chown(made / name, user, user)
    try:
        yield made
    finally:
        shutil.rmtree(made)


def run_as_user(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """As nobody, with bash as `sh`: as on Fedora, Arch and openSUSE. The number of processes is theirs alone."""
    return _run(folder, _SCRIPT + _BASH_AS_SH + _AS_USER, argv, {"USER_ID": str(NOBODY), "GROUP_ID": str(NOBODY)})


def run_in_a_pod(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    """As a user whom nobody knows, without a home, without capabilities, on a read-only root, and with a system-call
    filter that refuses namespaces, as container engines have it.
    """
    return _run(folder, _SCRIPT + _READ_ONLY + _IN_A_POD, argv, {"USER_ID": str(OF_A_POD), "GROUP_ID": "0"})


def _run(folder: Path, script: str, argv: Sequence[str], who: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    needed = [Path(path).resolve() for path in dict.fromkeys((ROOT, sys.prefix, sys.base_prefix))]
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run(
        ["unshare", "--mount", "--propagation", "private", bash, "-c", script, "as user", *argv],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "tmp" / "hypothesis"),
            "LANG": "C.UTF-8", "BASH": bash, "HOLD": str(folder), "PYTHON": sys.executable, **who,
            "CLOSED": "\n".join(map(str, dict.fromkeys(_closed(needed)))), "NEEDED": "\n".join(map(str, needed)),
        },
        capture_output=True, text=True, check=False, timeout=580,
    )  # fmt: skip


def _closed(paths: Sequence[Path]) -> Iterator[Path]:
    """The outermost folders on the way that others may not pass."""
    for path in paths:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                yield folder
                break


def _without_namespaces(argv: Sequence[str]) -> None:
    """Become a program that can make none."""
    import ctypes
    import platform

    from worker_core.sandbox import seccomp

    steps = seccomp.program(platform.machine())

    class Program(ctypes.Structure):
        _fields_ = (("count", ctypes.c_ushort), ("steps", ctypes.c_char_p))

    number = {"x86_64": 317, "aarch64": 277}[platform.machine()]
    given = ctypes.byref(Program(len(steps) // 8, steps))
    assert ctypes.CDLL(None).syscall(ctypes.c_long(number), 1, 0, given) == 0
    os.execvp(argv[0], argv)


if __name__ == "__main__":
    _without_namespaces(sys.argv[1:])
