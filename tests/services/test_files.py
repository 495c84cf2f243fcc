"""What is written for each system: validated by that system's own reader, or by what its documents say."""

from __future__ import annotations

import plistlib
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from xml.etree import ElementTree

import pytest

from worker_core.errors import ConfigurationError
from worker_core.services import launchd, systemd, windows_task
from worker_core.services.plan import NO_RESTART_AFTER, ServicePlan
from worker_core.settings import SETTINGS, Settings, load

STRANGE = '/opt/a "b" %i $HOME \\x; é'
PLAN = ServicePlan(
    scope="system",
    program=("/bin/true", "start"),
    settings={"queue_ids": "a, b", "control_plane_url": "https://cp.example.test", "fail_fast": "true"},
    keys={"kubiya-api-key": Path("/etc/kubiya-worker/kubiya-worker/kubiya-api-key")},
    drain_timeout=timedelta(minutes=5),
)
USERS = replace(PLAN, scope="user", name="builds")


def verified(unit: str, folder: Path, *, scope: str, name: str = "kubiya-worker.service") -> str:
    """What systemd says against a unit; empty: nothing. It wants a runtime folder, also where it starts nothing."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, of the Debian package systemd")
    file = folder / name
    file.write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", f"--{scope}", "--man=no", "--recursive-errors=no", str(file)],
        env={"PATH": "/usr/bin:/bin", "XDG_RUNTIME_DIR": str(folder), "LANG": "C"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    return done.stderr + ("" if done.returncode == 0 else f" exit {done.returncode}")


@pytest.mark.parametrize("plan", [PLAN, USERS], ids=["system", "user"])
def test_systemd_takes_the_unit(plan: ServicePlan, tmp_path: Path) -> None:
    assert verified(systemd.unit(plan, version=252), tmp_path, scope=plan.scope) == ""


def test_what_is_checked_is_found(tmp_path: Path) -> None:
    broken = systemd.unit(PLAN, version=252).replace("KillMode=mixed", "KillMode=kindly")
    assert "kindly" in verified(broken, tmp_path, scope="system")


def test_the_walls_hold_as_tightly_as_was_measured(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs systemd-analyze, of the Debian package systemd")
    file = tmp_path / "kubiya-worker.service"
    file.write_text(systemd.unit(PLAN, version=252))
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--no-pager", str(file)],
        env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    found = re.search(r"exposure level for .*: ([0-9.]+)", done.stdout)
    assert found is not None, done.stderr
    assert float(found[1]) <= 2.6  # 9.2 without them


def assignments(unit: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.splitlines():
        if "=" in line and not line.startswith("#"):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_how_a_unit_lives_and_ends() -> None:
    found = assignments(systemd.unit(PLAN, version=252))
    assert found["Type"] == ["notify"]
    assert found["KillMode"] == ["mixed"]
    assert found["StartLimitIntervalSec"] == ["0"]
    assert found["TimeoutStopSec"] == ["360s"]
    assert found["RestartPreventExitStatus"] == ["2 3 4 5"] == [" ".join(map(str, NO_RESTART_AFTER))]
    assert found["LoadCredential"] == ["kubiya-api-key:/etc/kubiya-worker/kubiya-worker/kubiya-api-key"]
    assert found["User"] == ["kubiya-worker"]
    assert "User" not in assignments(systemd.unit(USERS, version=252))


@pytest.mark.parametrize(("version", "there"), [(247, False), (253, False), (254, True), (257, True)])
def test_only_what_this_systemd_knows_is_written(version: int, there: bool) -> None:
    found = assignments(systemd.unit(PLAN, version=version))
    assert ("RestartSteps" in found) is there
    assert ("PrivateIPC" in found) is (version >= 248)


def test_what_breaks_the_sandbox_is_left_out_with_its_reason() -> None:
    unit = systemd.unit(PLAN, version=257)
    found = assignments(unit)
    for name in ("ProtectHostname", "ProcSubset", "RestrictSUIDSGID", "DynamicUser", "MemoryDenyWriteExecute"):
        assert name not in found
        assert re.search(rf"^#   {name}=\S*: .+\.$", unit, re.MULTILINE), name
    assert found["RestrictNamespaces"] == ["user mnt pid net ipc uts cgroup"]


@pytest.mark.parametrize("text", [STRANGE, "100%", "a'b", "$x ${y}", "-", "a b", "\\"])
def test_whatever_stands_in_a_value_is_read_back(text: str, tmp_path: Path) -> None:
    """systemd's own reader: what a unit would have in its environment and on its command line."""
    plan = replace(PLAN, program=("/bin/echo", text), settings={"git_author": text})
    unit = systemd.unit(plan, version=252)
    assert verified(unit, tmp_path, scope="system") == ""
    found = assignments(unit)
    [line] = [one for one in found["Environment"] if "GIT_AUTHOR" in one]
    assert unquoted(line) == [f"KUBIYA_WORKER_GIT_AUTHOR={text}"]
    assert [word.replace("$$", "$") for word in unquoted(found["ExecStart"][0])] == ["/bin/echo", text]


def unquoted(line: str) -> list[str]:
    """Words as systemd.syntax(7) reads them, for what is written here: quotation marks, backslashes, percent signs."""
    words = re.findall(r'"((?:[^"\\]|\\.)*)"|(\S+)', line)
    return [re.sub(r"\\(.)", r"\1", quoted or plain).replace("%%", "%") for quoted, plain in words]


@pytest.mark.parametrize("text", ["a\nExecStartPre=/bin/x", "a\rb", "a\x00b"])
def test_a_line_break_gets_into_no_file(text: str) -> None:
    with pytest.raises(ConfigurationError, match="control character"):
        replace(PLAN, settings={"git_author": text})


@pytest.mark.parametrize("name", ["A", "../x", "a b", "-a", "a-", "a" * 33, "a%i", "a\n"])
def test_a_name_that_is_none(name: str) -> None:
    with pytest.raises(ConfigurationError, match="no name for a service"):
        replace(PLAN, name=name)


KEYS_OF_LAUNCHD: Mapping[str, type] = {
    "Label": str, "ProgramArguments": list, "EnvironmentVariables": dict, "RunAtLoad": bool, "KeepAlive": dict,
    "ThrottleInterval": int, "ExitTimeOut": int, "ProcessType": str, "LegacyTimers": bool, "StandardErrorPath": str,
    "Umask": int,
}  # fmt: skip
"""With the types of launchd.plist(5)."""


def test_the_agent_of_launchd_is_what_its_manual_says() -> None:
    found = plistlib.loads(launchd.agent(USERS, log=Path("/Users/me/Library/Logs/x.log")))
    assert {name: type(value) for name, value in found.items()} == KEYS_OF_LAUNCHD
    assert found["KeepAlive"] == {"SuccessfulExit": False}
    assert found["ExitTimeOut"] == 360
    assert found["ProcessType"] == "Interactive"
    assert found["LegacyTimers"] is True
    assert found["ProgramArguments"] == ["/bin/true", "start"]
    assert found["EnvironmentVariables"]["KUBIYA_API_KEY_FILE"].endswith("/kubiya-api-key")
    assert all(isinstance(value, str) for value in found["EnvironmentVariables"].values())
    assert found["Label"] == "ai.kubiya.worker.service.builds"


TASK: Mapping[str, Mapping[str, str]] = {
    "RegistrationInfo": {"Description": ".*"},
    "Triggers/LogonTrigger": {"Enabled": "true|false", "UserId": ".+"},
    "Principals/Principal": {"UserId": ".+", "LogonType": "InteractiveToken", "RunLevel": "LeastPrivilege"},
    "Settings": {
        "MultipleInstancesPolicy": "IgnoreNew|Parallel|Queue|StopExisting", "DisallowStartIfOnBatteries": "true|false",
        "StopIfGoingOnBatteries": "true|false", "AllowHardTerminate": "true|false", "StartWhenAvailable": "true|false",
        "ExecutionTimeLimit": "PT0S", "Priority": "[0-9]|10", "RestartOnFailure": r"\s*",
    },
    "Settings/RestartOnFailure": {"Interval": "PT([1-9]|[1-5][0-9])M", "Count": "[1-9][0-9]{0,2}"},
    "Actions/Exec": {"Command": ".+", "Arguments": ".*"},
}  # fmt: skip
"""The part of Task Scheduler's schema that is used: each element's children, and what they may say."""


def test_the_task_is_what_its_schema_says() -> None:
    content = windows_task.task(USERS, user="OFFICE\\me & you")
    assert content[:2] in {b"\xff\xfe", b"\xfe\xff"}  # schtasks wants UTF-16, and its mark
    root = ElementTree.fromstring(content)
    space = f"{{{windows_task.NAMESPACE}}}"
    assert (root.tag, root.attrib) == (f"{space}Task", {"version": "1.2"})
    for path, children in TASK.items():
        [found] = root.findall("/".join(f"{space}{name}" for name in path.split("/")))
        assert {one.tag.removeprefix(space) for one in found} == set(children), path
        for one in found:
            assert re.fullmatch(children[one.tag.removeprefix(space)], one.text or ""), one.tag
    [actions] = root.findall(f"{space}Actions")
    [principal] = root.findall(f"{space}Principals/{space}Principal")
    assert actions.get("Context") == principal.get("id")
    assert principal[0].text == "OFFICE\\me & you"


def test_settings_of_a_task_are_flags_that_the_worker_reads() -> None:
    words = windows_task.arguments(USERS)
    assert words[0] == "start"
    assert words[words.index("--queue-id") + 1] == "a, b"
    assert words[words.index("--api-key-file") + 1].endswith("kubiya-api-key")
    assert "--fail-fast" in words
    assert "--fail-fast" not in windows_task.arguments(replace(USERS, settings={"fail_fast": "false"}))


def test_variables_of_a_unit_are_those_that_the_worker_reads() -> None:
    plan = replace(PLAN, settings={"queue_ids": "a, b", "drain_timeout": "90 s", "fail_fast": "true"})
    found = assignments(systemd.unit(plan, version=252))["Environment"]
    environ = dict(unquoted(one)[0].split("=", 1) for one in found if one.startswith('"'))
    assert load(environ=environ) == Settings(queue_ids=("a", "b"), drain_timeout=timedelta(seconds=90), fail_fast=True)
    assert set(environ) == {SETTINGS[name].variable for name in plan.settings}
