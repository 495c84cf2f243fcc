"""What is declared becomes the environment of the tool, and of nothing that runs before it."""

from __future__ import annotations

import gc
import os
import socket
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.sandbox.conftest import run
from tests.support.processes import ignored_or_blocked
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.network.reachable import Network
from worker_core.sandbox import gate, landlock
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.launcher import Command, Launcher
from worker_core.sandbox.limits import Limits

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="on Windows the job object limits, and nothing is execed"
)

STEERING = {
    # Each makes one of the programs that once stood before a tool fail, do nothing, or do something else.
    "SHELLOPTS": "noexec", "BASHOPTS": "extdebug", "PS4": "$(echo steered >&2)", "BASH_ENV": "/no/file", "IFS": "0",
    "PERL5OPT": "-MNo::Such::Module", "PERL5LIB": "/no/folder", "PERL5DB": "die", "PERL_UNICODE": "SDA",
    "PYTHONHOME": "/no/folder", "PYTHONWARNINGS": "error", "LC_ALL": "xx_XX", "POSIXLY_CORRECT": "1", "CDPATH": "/",
}  # fmt: skip


@pytest.fixture(params=["direct", pytest.param("bubblewrap", marks=needs_bubblewrap)])
def launcher(request: pytest.FixtureRequest, language: str, tmp_path: Path) -> Launcher:
    limits = Limits(open_files=64)
    return DirectLauncher(limits=limits) if request.param == "direct" else bubblewrap(tmp_path / "walls", limits=limits)


async def said(launcher: Launcher, folder: Path, *argv: str, **declared: str) -> tuple[bytes, int]:
    workspace = folder / "w"
    workspace.mkdir(exist_ok=True)
    command = Command(argv=argv, cwd=workspace, environment={"PATH": os.environ["PATH"], CALL_MARK: "g/1", **declared})
    wrapped = launcher.wrap(command, workspace=workspace)
    assert set(wrapped.environment) == {"PATH", "LC_ALL", CALL_MARK}
    assert not any(value in part for value in declared.values() for part in wrapped.argv if len(value) > 3)
    result = await run(wrapped, output_limit_bytes=100_000)
    output = b"".join(result.output.ends())
    result.output.close()
    return output, result.exit_code


async def test_variables_steer_nothing_before_the_tool(launcher: Launcher, tmp_path: Path) -> None:
    output, code = await said(launcher, tmp_path, "env", "-0", **STEERING)
    assert code == 0, output
    inside = dict(one.split(b"=", 1) for one in output.split(b"\0") if one)
    assert {name: inside[name.encode()].decode() for name in STEERING} == STEERING
    output, _ = await said(launcher, tmp_path, sys.executable, "-I", "-c", LIMITS, **STEERING)
    assert output.decode() == "(64, 64) (0, 0)\n"


LIMITS = "from resource import *; print(getrlimit(RLIMIT_NOFILE), getrlimit(RLIMIT_CORE))"

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="=\0"), min_size=1, max_size=10)
BYTES = st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)  # as os.fsdecode writes what is no UTF-8
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0") | BYTES, max_size=20)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(declared=st.dictionaries(NAMES, VALUES, max_size=5))
async def test_every_variable_arrives_as_it_is(language: str, tmp_path: Path, declared: dict[str, str]) -> None:
    command = Command(argv=["/usr/bin/env", "-0"], cwd=tmp_path, environment=declared)
    wrapped = DirectLauncher(limits=Limits()).wrap(command, workspace=tmp_path)
    result = await run(wrapped, output_limit_bytes=100_000)
    output = b"".join(result.output.ends())
    result.output.close()
    wanted = {os.fsencode(name): os.fsencode(value) for name, value in declared.items()}
    assert dict(one.split(b"=", 1) for one in output.split(b"\0") if one) == wanted


async def test_nothing_of_the_gate_is_left_in_the_tool(launcher: Launcher, tmp_path: Path) -> None:
    script = "echo $(ls /proc/self/fd); grep -E 'Sig(Ign|Blk)' /proc/self/status"
    if sys.platform != "linux":
        pytest.skip("only Linux shows what a process has open")
    output, _ = await said(launcher, tmp_path, "/bin/sh", "-c", script)
    descriptors, _, status = output.decode().partition("\n")
    assert descriptors == "0 1 2 3", "the last is of ls itself"
    assert ignored_or_blocked(status) == 0


async def test_arguments_arrive_as_they_are(launcher: Launcher, tmp_path: Path) -> None:
    output, _ = await said(launcher, tmp_path, "printf", "<%s>", "a b", "", "--", "limits=0:1", "$HOME", "'", "\n")
    assert output == b"<a b><><--><limits=0:1><$HOME><'><\n>"


@pytest.mark.parametrize(("program", "code"), [("/no/such/program", 127), ("no-such-program", 127), ("/tmp", 126)])
async def test_a_program_that_cannot_be_started(launcher: Launcher, tmp_path: Path, program: str, code: int) -> None:
    output, found = await said(launcher, tmp_path, program)
    assert found == code
    assert output.startswith(program.encode() + b": ")


async def test_a_limit_that_is_lower_already_stays(language: str, tmp_path: Path) -> None:
    inner = DirectLauncher(limits=Limits(open_files=100)).wrap(
        Command(argv=[sys.executable, "-I", "-c", LIMITS], cwd=tmp_path, environment={}), workspace=tmp_path
    )
    inner = replace(inner, limits=None)  # of the call, which would go before those of the launcher
    outer = DirectLauncher(limits=Limits(open_files=50)).wrap(inner, workspace=tmp_path)
    result = await run(outer)
    assert b"".join(result.output.ends()) == b"(50, 50) (0, 0)\n"
    result.output.close()


async def test_limits_that_cannot_be_set_start_nothing(language: str, tmp_path: Path) -> None:
    wrapped = gate.Gate(limits={9999: 1}).before(
        Command(argv=["touch", "started"], cwd=tmp_path, environment={}), {"PATH": os.environ["PATH"]}
    )
    result = await run(wrapped)
    assert b"The call was not started" in b"".join(result.output.ends())
    assert result.exit_code == 126
    assert not (tmp_path / "started").exists()
    result.output.close()


def test_a_command_that_is_never_started_leaves_nothing_open(tmp_path: Path) -> None:
    def open_files() -> int:
        gc.collect()  # what tests before this one left
        return len(list(Path("/dev/fd").iterdir()))

    before = open_files()
    for _ in range(20):
        DirectLauncher(limits=Limits()).wrap(
            Command(argv=["true"], cwd=tmp_path, environment={"X": "1"}), workspace=tmp_path
        )
    assert open_files() <= before


@pytest.mark.skipif(
    landlock.version() < landlock.SCOPES_SINCE,
    reason="the kernel keeps nobody from abstract sockets (Landlock, Linux 6.12)",
)
@needs_bubblewrap
async def test_abstract_sockets_of_others_are_out_of_reach_and_its_own_are_not(language: str, tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    name = f"kubiya-test-{os.getpid()}"
    script = (
        "import socket, sys\n"
        "own = socket.socket(socket.AF_UNIX); own.bind('\\0' + sys.argv[1] + '-own'); own.listen()\n"
        "for name in (sys.argv[1], sys.argv[1] + '-own'):\n"
        "    s = socket.socket(socket.AF_UNIX)\n"
        "    try: s.connect('\\0' + name); print('answered')\n"
        "    except OSError as error: print(error.strerror)\n"
    )
    with socket.socket(socket.AF_UNIX) as others:
        others.bind(f"\0{name}")
        others.listen()
        for network, said in ((Network.HOST, "Operation not permitted"), (Network.OFF, "Connection refused")):
            made = bubblewrap(tmp_path / "walls", network=network)
            command = Command(
                argv=[sys.executable, "-I", "-c", script, name], cwd=tmp_path / "w", environment={"PATH": "/bin"}
            )
            result = await run(made.wrap(command, workspace=tmp_path / "w"))
            assert b"".join(result.output.ends()).decode() == f"{said}\nanswered\n"
            result.output.close()
