"""The escape suite once more, as an ordinary user, with bash as `sh`: as on Fedora, Arch and openSUSE.

bash runs what `PS4` says for an ordinary user alone, and the kernel counts processes for one alone. It takes root to
become another user and to mount bash over `sh`, in a mount namespace of this test's own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.walls import needs_bubblewrap

USER = 65534
ROOT = Path(__file__).parents[2]
ALSO = tuple(
    f"tests/sandbox/egress/test_named.py::{test}"
    for test in ("test_a_program_that_knows_no_proxy[curl]", "test_without_perl", "test_a_port_of_the_settings")
)
"""Ports below 1024 are bound for a user who has none of root's rights."""

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="bubblewrap is for Linux"),
    pytest.mark.skipif(
        hasattr(os, "getuid") and os.getuid() != 0,
        reason="only root becomes another user; this run is an ordinary user's already, with the machine's own `sh`",
    ),
    pytest.mark.skipif(
        any(shutil.which(program) is None for program in ("unshare", "setpriv", "mount")),
        reason="util-linux (unshare, setpriv, mount) is not installed",
    ),
    needs_bubblewrap,
]

# Folders on the way to this Python and to these tests may be closed to others, as /root is: in this namespace an empty
# folder with the same name leads there instead.
SCRIPT = r"""
set -ef
IFS=$'\n'
mount --bind "$(readlink -f "$BASH")" "$(readlink -f /bin/sh)"
[ -n "$(/bin/sh -c 'echo "$BASH_VERSION"')" ]
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
exec setpriv --reuid="$USER_ID" --regid="$USER_ID" --clear-groups --inh-caps=-all "$@"
"""


def _closed(paths: list[Path]) -> Iterator[Path]:
    """The outermost folders on the way that others may not pass."""
    for path in paths:
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & 0o001:
                yield folder
                break


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One that another user may write; pytest's own are closed to others."""
    made = Path(tempfile.mkdtemp(prefix="kb-user-"))
    made.chmod(0o711)
    for name in ("home", "tmp"):
        (made / name).mkdir()
        os.chown(made / name, USER, USER)
    yield made
    shutil.rmtree(made)


@pytest.mark.timeout(600)
def test_no_escape_of_an_ordinary_user_where_sh_is_bash(folder: Path) -> None:
    needed = [Path(path).resolve() for path in dict.fromkeys((ROOT, sys.prefix, sys.base_prefix))]
    bash = shutil.which("bash")
    assert bash is not None
    result = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", bash, "-c", SCRIPT, "as user", sys.executable,
         "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", str(folder / "tmp" / "pytest"),
         "tests/sandbox/test_escapes.py", *ALSO],
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"], "HOME": str(folder / "home"), "TMPDIR": str(folder / "tmp"),
            "PYTHONDONTWRITEBYTECODE": "1", "HYPOTHESIS_STORAGE_DIRECTORY": str(folder / "tmp" / "hypothesis"),
            "LANG": "C.UTF-8", "BASH": bash, "HOLD": str(folder), "USER_ID": str(USER),
            "CLOSED": "\n".join(map(str, dict.fromkeys(_closed(needed)))), "NEEDED": "\n".join(map(str, needed)),
        },
        capture_output=True, text=True, check=False, timeout=580,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    said = result.stdout.splitlines()[-1]
    assert " passed" in said
    assert "failed" not in said
