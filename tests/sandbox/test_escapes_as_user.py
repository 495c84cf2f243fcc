"""The escape suite once more: as an ordinary user, with bash as `sh`; and without namespaces, as in a restricted pod.

bash runs what `PS4` says for an ordinary user alone, and the kernel counts processes for one alone. It takes root to
become another user and to mount bash over `sh`, in a mount namespace of this test's own.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.other_user import NOBODY, OF_A_POD, folder_for, needs_root, run_as_user, run_in_a_pod
from tests.support.walls import needs_bubblewrap, needs_landlock

ALSO = tuple(
    f"tests/sandbox/egress/test_named.py::{test}"
    for test in (
        "test_a_program_that_knows_no_proxy[curl]",
        "test_without_perl",
        "test_a_port_of_the_settings",
        "test_a_name_leads_to_what_programs_take_for_a_public_address",
    )
)
"""Ports below 1024 are bound, and an interface is given addresses, for a user who has none of root's rights."""

pytestmark = [*needs_root]
PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")


def check(result: subprocess.CompletedProcess[str]) -> None:
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    said = result.stdout.splitlines()[-1]
    assert " passed" in said
    assert "failed" not in said


@needs_bubblewrap
@pytest.mark.timeout(600)
def test_no_escape_of_an_ordinary_user_where_sh_is_bash() -> None:
    with folder_for(NOBODY) as folder:
        basetemp = str(folder / "tmp" / "pytest")
        chosen = "not without_namespaces"
        tests = ("tests/sandbox/test_escapes.py", *ALSO)
        check(run_as_user(folder, *PYTEST, "--basetemp", basetemp, "-k", chosen, *tests))


@needs_landlock
@pytest.mark.timeout(600)
def test_escapes_where_namespaces_are_forbidden() -> None:
    with folder_for(OF_A_POD) as folder:
        basetemp = str(folder / "tmp" / "pytest")
        check(
            run_in_a_pod(
                folder,
                *PYTEST,
                "--basetemp",
                basetemp,
                "-k",
                "without_namespaces or landlock or pod",
                "tests/sandbox/test_escapes.py",
                "tests/tools/test_sandboxed.py",
                "tests/sandbox/test_pod.py",
            )
        )
