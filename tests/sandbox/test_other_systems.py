"""What cannot be run here: the text of profiles and arguments; and a `docker` of our own that records and runs."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import run
from worker_core.network.reachable import Network
from worker_core.sandbox import container, windows_child
from worker_core.sandbox.container import Container
from worker_core.sandbox.launcher import Command, GrantedFolder, Holds
from worker_core.sandbox.limits import Limits
from worker_core.sandbox.macos import SandboxExec, profile
from worker_core.sandbox.walls import Walls
from worker_core.sandbox.windows import RestrictedToken

PROFILE = """\
(version 1)
(deny default)
(allow process-fork)
(allow process-exec)
(allow signal (target same-sandbox))
(allow process-info* (target same-sandbox))
(allow sysctl-read)
(allow file-read-metadata)
"""


def parse(text: str) -> list[object]:
    """S-expressions, as strict as they come."""
    stack: list[list[object]] = [[]]
    at = 0
    while at < len(text):
        match text[at]:
            case "(":
                stack.append([])
            case ")":
                done = stack.pop()
                stack[-1].append(done)
            case '"':
                word = ""
                at += 1
                while text[at] != '"':
                    at += text[at] == "\\"
                    word += text[at]
                    at += 1
                stack[-1].append(f'"{word}')
            case " " | "\n":
                pass
            case _:
                end = next(i for i in range(at, len(text)) if text[i] in ' \n()"')
                stack[-1].append(text[at:end])
                at = end - 1
        at += 1
    (top,) = stack
    return top


def made(network: Network = Network.ON, port: int | None = 3128) -> str:
    return profile(
        writable=[Path('/Users/a/w "1"\\x')], readable=[Path("/py")], hidden=[Path("/Users/a/state")], network=network,
        proxy_port=port,
    )  # fmt: skip


def test_the_profile() -> None:
    text = made()
    assert text.startswith(PROFILE)
    rules = parse(text)
    assert rules[0] == ["version", "1"]
    assert rules[1] == ["deny", "default"]
    assert all(isinstance(rule, list) and rule[0] in {"version", "deny", "allow"} for rule in rules)
    writing = [rule for rule in rules if isinstance(rule, list) and "file-write*" in rule]
    assert writing == [["allow", "file-read*", "file-write*", ["subpath", '"/Users/a/w "1"\\x']]]
    hiding = next(rule for rule in rules if isinstance(rule, list) and rule[:2] == ["deny", "file-read*"])
    assert ["subpath", '"/Users/a/state'] in hiding
    assert rules.index(hiding) < rules.index(writing[0])
    assert ["subpath", '"/Users'] not in [part for rule in rules if isinstance(rule, list) for part in rule]


def test_the_profiles_network() -> None:
    assert 'network-outbound (remote ip "localhost:3128")' in made()
    assert "network" not in made(Network.OFF, None)
    assert "(allow network*)" in made(Network.HOST, None)


def variables(command: Command) -> dict[str, str]:
    """What the gate is to give to the tool."""
    word = next(one for one in command.argv if one.startswith("variables="))
    content = os.pread(int(word.removeprefix("variables=")), 100_000, 0)
    return dict(one.split("=", 1) for one in content.decode().split("\0") if one)


def test_sandbox_exec(tmp_path: Path) -> None:
    launcher = SandboxExec(walls=Walls())
    command = Command(argv=["/bin/echo", "x"], cwd=tmp_path, environment={"HTTPS_PROXY": "http://u:p@x"})
    wrapped = launcher.wrap(command, workspace=tmp_path)
    assert list(wrapped.argv[:2]) == ["/usr/bin/sandbox-exec", "-p"]
    assert list(wrapped.argv[-2:]) == ["/bin/echo", "x"]
    given = variables(wrapped)
    assert given["HOME"] == str(tmp_path / ".kubiya/home")
    assert "HTTPS_PROXY" not in given
    assert not {"HOME", "TMPDIR"} & set(wrapped.environment)
    assert Holds.FILES in launcher.enforces


def test_windows(tmp_path: Path) -> None:
    launcher = RestrictedToken(walls=Walls(limits=Limits(processes=7)))
    wrapped = launcher.wrap(Command(argv=["cmd", "/c", "dir"], cwd=tmp_path, environment={}), workspace=tmp_path)
    assert wrapped.argv[0] == sys.executable
    assert list(wrapped.argv[-5:]) == [str(tmp_path), "--", "cmd", "/c", "dir"]
    assert wrapped.environment["TEMP"].startswith(str(tmp_path))
    assert wrapped.limits is not None
    assert wrapped.limits.processes == 7
    assert not {Holds.FILES, Holds.NETWORK} & launcher.enforces


def test_folders_of_the_owners(tmp_path: Path) -> None:
    readable, writable = (GrantedFolder(path=tmp_path / one, writable=one == "w") for one in ("r", "w"))
    command = Command(argv=["/bin/true"], cwd=tmp_path, environment={}, folders=(writable, readable))

    rules = parse(SandboxExec(walls=Walls()).wrap(command, workspace=tmp_path / "own").argv[2])
    writing = next(rule for rule in rules if isinstance(rule, list) and "file-write*" in rule)
    reading = next(rule for rule in rules if isinstance(rule, list) and rule[:2] == ["allow", "file-read*"])
    assert ["subpath", f'"{writable.path}'] in writing
    assert ["subpath", f'"{readable.path}'] in reading
    assert ["subpath", f'"{readable.path}'] not in writing

    container = Container(program="docker", image="i", walls=Walls(), worker_python="p")
    argv = container.wrap(command, workspace=tmp_path / "own").argv
    assert f'type=bind,"source={writable.path}","target={writable.path}"' in argv
    assert f'type=bind,"source={readable.path}","target={readable.path}",readonly' in argv

    started = RestrictedToken(walls=Walls()).wrap(command, workspace=tmp_path / "own").argv
    assert not {str(writable.path), str(readable.path)} & set(started), (
        "no label of low integrity for what is the owner's"
    )


def test_the_layouts_of_windows() -> None:
    assert ctypes.sizeof(windows_child.StartupInfo) == 104  # as documented, on 64 bits
    assert ctypes.sizeof(windows_child.ProcessInformation) == 24
    assert ctypes.sizeof(windows_child.SidAndAttributes) == 16
    assert windows_child.label_arguments("C:\\w")[1:] == ["C:\\w", "/setintegritylevel", "(OI)(CI)L", "/q"]


class Security:
    """`advapi32`, as far as labels go."""

    def __init__(self, label: str | None) -> None:
        self.label = label

    def GetNamedSecurityInfoW(self, *_: object) -> int:  # noqa: N802
        return 0 if self.label is not None else 5

    def ConvertSecurityDescriptorToStringSecurityDescriptorW(self, *given: Any) -> int:  # noqa: N802
        given[3]._obj.value = self.label
        return 1


@pytest.mark.parametrize(
    ("label", "asks"),
    [
        ("S:(ML;OICI;NW;;;LW)", False),
        ("S:AI(ML;OICIID;NW;;;LW)", False),
        ("S:(ML;OICI;NW;;;S-1-16-4096)", False),
        ("S:(ML;;NW;;;LW)", True),  # not for what is put into it
        ("S:(ML;OICI;NW;;;ME)", True),
        ("", True),
        (None, True),
    ],
)
def test_a_folder_is_labelled_once(monkeypatch: pytest.MonkeyPatch, label: str | None, asks: bool) -> None:
    """icacls walks all that is in it (labels as in Microsoft's "ACE Strings" and "Mandatory Integrity Control")."""
    asked: list[list[str]] = []
    monkeypatch.setattr(windows_child.subprocess, "run", lambda command, **_: asked.append(command))
    windows_child.make_writable(Security(label), "C:\\w")
    assert asked == ([windows_child.label_arguments("C:\\w")] if asks else [])


@pytest.mark.parametrize(("code", "given"), [(0, 0), (3, 3), (0x7FFFFFFF, 0x7FFFFFFF), (0xC0000005, -1073741819)])
def test_the_code_of_a_crash_comes_through(code: int, given: int) -> None:
    """`_exit` takes a C int, and `ExitProcess` what its bits say."""
    assert windows_child.as_c_int(code) == given
    assert given & 0xFFFFFFFF == code


DOCKER = f"""#!{sys.executable} -I
import json, os, sys
open({{record!r}}, "w").write(json.dumps([sys.argv[1:], dict(os.environ)]))
if sys.argv[1] in {{failing}}:
    sys.exit(f"no {{{{sys.argv[1]}}}}")
if sys.argv[1] in {{{{"version", "image", "pull"}}}}:
    sys.exit(0)
lines = open(sys.argv[sys.argv.index("--env-file") + 1], "rb").read().decode().splitlines()
given = dict([("PATH", os.environ["PATH"])] + [line.split("=", 1) for line in lines])
at = sys.argv.index("the-image")
os.execvpe(sys.argv[at + 1], sys.argv[at + 1:], given)
"""


def docker(folder: Path, *, failing: tuple[str, ...] = ()) -> tuple[str, Path]:
    program, record = folder / "docker", folder / "record"
    program.write_text(DOCKER.format(record=str(record), failing=failing))
    program.chmod(0o755)
    return str(program), record


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a #! line")
async def test_a_container(tmp_path: Path) -> None:
    program, record = docker(tmp_path)
    workspace = tmp_path / 'w,"x'
    workspace.mkdir()
    launcher = Container(
        program=program, image="the-image", walls=Walls(limits=Limits(processes=7)), worker_python="/own/python"
    )
    command = Command(
        argv=["/own/python", "-c", "print('in the container')"], cwd=workspace,
        environment={"PATH": "/host/bin", "TOKEN": "s3cret", "KUBIYA_TOOL_CALL": "c/1"},
    )  # fmt: skip
    result = await run(launcher.wrap(command, workspace=workspace))
    assert b"".join(result.output.ends()) == b"in the container\n"
    result.output.close()
    argv, environment = json.loads(record.read_text())
    text = " ".join(argv)
    assert argv[:2] == ["run", "--rm"]
    for wanted in (
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--network none",
        "--read-only",
        "--pids-limit 7",
    ):
        assert wanted in text
    assert f'type=bind,"source={tmp_path}/w,""x","target={tmp_path}/w,""x"' in argv
    assert "--ulimit core=0:0" in text
    assert "s3cret" not in text
    assert "TOKEN" not in environment
    assert environment["HOME"] == os.environ["HOME"], "the engine finds its own configuration"
    assert "python3" in argv
    assert "/own/python" not in argv


STEERING = {"DOCKER_HOST": "tcp://elsewhere", "CONTAINERS_CONF": "/w/x", "XDG_CONFIG_HOME": "/w", "DOCKER_CONFIG": "/w"}


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a #! line")
@pytest.mark.parametrize(
    "value",
    ["plain", "", " blanks ", '"quoted"', "two\nlines\n\n", "back\\slash%s$x`y`", "Grüße", "\udc80", "#", "a=b"],
)
async def test_variables_of_a_container_are_for_what_runs_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    for name in STEERING:
        monkeypatch.delenv(name, raising=False)
    program, record = docker(tmp_path)
    launcher = Container(program=program, image="the-image", walls=Walls(), worker_python="")
    command = Command(argv=["env", "-0"], cwd=tmp_path, environment={**STEERING, "X": value, "HOME": "/nowhere"})
    result = await run(launcher.wrap(command, workspace=tmp_path))
    inside = dict(one.split(b"=", 1) for one in b"".join(result.output.ends()).split(b"\0") if one)
    result.output.close()
    assert inside[b"X"] == os.fsencode(value)
    assert inside[b"HOME"] == b"/tmp/home"
    assert {name: os.fsdecode(inside[name.encode()]) for name in STEERING} == STEERING
    argv, outside = json.loads(record.read_text())
    assert not {*STEERING, "X"} & set(outside)
    assert "elsewhere" not in str(argv)


def test_the_workers_folders_are_covered_in_a_container(tmp_path: Path) -> None:
    home, state = tmp_path / "home", tmp_path / "home" / "state"
    workspace = state / "workspaces" / "own"
    workspace.mkdir(parents=True)
    (tmp_path / "link").symlink_to(home)
    walls = Walls(readable=(home, tmp_path / "link", state / "workspaces"), hidden=(state, state / "run"))
    launcher = Container(program="docker", image="i", walls=walls, worker_python="")
    argv = launcher.wrap(Command(argv=["true"], cwd=workspace, environment={}), workspace=workspace).argv
    covered = [argv[at + 1].partition(":")[0] for at, word in enumerate(argv) if word == "--tmpfs"]
    assert set(covered[2:]) == {str(state), str(tmp_path / "link" / "state")}
    assert not any("notmpcopyup" in word for word in argv)
    podman = Container(program="podman", image="i", walls=walls, worker_python="", is_podman=True)
    argv = podman.wrap(Command(argv=["true"], cwd=workspace, environment={}), workspace=workspace).argv
    tmpfs = [argv[at + 1] for at, word in enumerate(argv) if word == "--tmpfs"]
    assert all(one.endswith(",notmpcopyup") for one in tmpfs), "it would copy what is covered"
    mounted = [argv[at + 1] for at, word in enumerate(argv) if word == "--mount"]
    assert not any(f'"source={state}/workspaces"' in one for one in mounted)


def test_a_key_file_is_empty_in_a_container(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("kb-canary-112233")
    walls = Walls(readable=(tmp_path,), hidden=(tmp_path / "key",))
    launcher = Container(program="docker", image="i", walls=walls, worker_python="")
    argv = launcher.wrap(Command(argv=["true"], cwd=tmp_path, environment={}), workspace=tmp_path).argv
    assert f'type=bind,"source={os.devnull}","target={tmp_path}/key",readonly' in argv


def test_a_variable_that_no_engine_takes(tmp_path: Path) -> None:
    launcher = Container(program="docker", image="i", walls=Walls(), worker_python="")
    command = Command(argv=["true"], cwd=tmp_path, environment={"a b": "1"})
    with pytest.raises(OSError, match="'a b' cannot be handed to a container"):
        launcher.wrap(command, workspace=tmp_path)


def test_a_container_with_the_machines_network(tmp_path: Path) -> None:
    launcher = Container(program="docker", image="i", walls=Walls(network=Network.HOST), worker_python="")
    command = Command(argv=["true"], cwd=tmp_path, environment={})
    assert "bridge" in launcher.wrap(command, workspace=tmp_path).argv
    assert "none" in launcher.wrap(command, workspace=tmp_path, network=Network.OFF).argv
    assert Holds.NETWORK not in launcher.enforces


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a #! line")
def test_whether_docker_answers(tmp_path: Path) -> None:
    assert container.probe(docker(tmp_path)[0], "the-image") == ""
    assert "does not answer (no version)" in container.probe(docker(tmp_path, failing=("version",))[0], "the-image")
    assert "could not be asked" in container.probe(str(tmp_path / "nothing"), "the-image")
    assert container.find_program(str(tmp_path)) == str(tmp_path / "docker")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a #! line")
def test_an_image_is_there_or_fetched_before_a_call_needs_it(tmp_path: Path) -> None:
    program, record = docker(tmp_path, failing=("image",))
    assert container.probe(program, "the-image") == ""
    assert json.loads(record.read_text())[0] == ["pull", "--quiet", "the-image"]
    said = container.probe(docker(tmp_path, failing=("image", "pull"))[0], "the-image")
    assert "The image the-image is not here" in said
    assert "(no pull)" in said
    assert said.endswith("Fetch it with `docker pull the-image`, or name another one in sandbox_image.")


@pytest.mark.skipif(os.name == "nt", reason="the stand-in is a script with a #! line")
@pytest.mark.parametrize(
    ("said", "podman"), [("podman version 4.3.1", True), ("Docker version 28.2.2, build e6534b4", False)]
)
def test_an_engine_is_known_by_what_it_says(tmp_path: Path, said: str, podman: bool) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\necho '{said}'\n")
    program.chmod(0o755)
    assert container.is_podman(str(program)) is podman
