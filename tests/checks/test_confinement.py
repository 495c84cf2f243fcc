"""Which option of a unit, a container or a pod takes what, and the line to change."""

from __future__ import annotations

import sys

import pytest

from worker_core.checks.confinement import Surroundings, confinement, finding, surroundings, taken

HARDENED = {
    "RestrictNamespaces": "cgroup ipc net mnt pid user uts",
    "ProtectHostname": "no",
    "ProcSubset": "all",
    "RestrictAddressFamilies": "AF_UNIX AF_NETLINK AF_INET AF_INET6",
    "MemoryDenyWriteExecute": "no",
    "SystemCallFilter": "mount read sethostname write",
    "RestrictSUIDSGID": "no",
    "PrivateTmp": "yes",
    "ProtectSystem": "strict",
}
"""What was tried with tools inside of it, and works."""


def test_a_hardened_unit_that_works_takes_nothing() -> None:
    found = finding(Surroundings(unit="kubiya-worker.service", options=HARDENED))
    assert found.verdict == "ok"
    assert "the unit kubiya-worker.service" in found.sentence


@pytest.mark.parametrize(
    ("option", "value", "change"),
    [
        ("RestrictNamespaces", "yes", "RestrictNamespaces=cgroup ipc mnt net pid user uts"),
        ("RestrictNamespaces", "ipc mnt net pid user uts", "RestrictNamespaces=cgroup ipc"),
        ("ProtectHostname", "yes", "eave it out of w.service"),
        ("ProcSubset", "pid", "eave it out of w.service"),
        ("RestrictAddressFamilies", "AF_UNIX AF_INET", "RestrictAddressFamilies=AF_UNIX AF_INET AF_NETLINK"),
        ("MemoryDenyWriteExecute", "yes", "eave it out of w.service"),
        ("SystemCallFilter", "read write", "@system-service @mount sethostname"),
        ("PrivateTmp", "no", "PrivateTmp=yes"),
    ],
)
def test_each_option_that_takes_something_is_named_with_its_line(option: str, value: str, change: str) -> None:
    found = finding(Surroundings(unit="w.service", options={**HARDENED, option: value}))
    assert found.verdict == "warn"
    named = option if option != "PrivateTmp" else "ProtectSystem=strict"
    assert named in found.sentence
    assert change in found.repair
    assert "  " not in found.sentence + found.repair


@pytest.mark.parametrize("option", ["RestrictAddressFamilies", "SystemCallFilter"])
def test_lists_of_what_is_denied_are_left_alone(option: str) -> None:
    assert not taken(Surroundings(unit="w.service", options={**HARDENED, option: "~AF_PACKET @clock"}))


@pytest.mark.parametrize(
    ("found", "says", "change"),
    [
        (Surroundings(container="Kubernetes", namespaces=False), "pod's seccomp profile", "Localhost profile"),
        (Surroundings(container="a container", namespaces=False), "The container forbids", "seccomp=PROFILE"),
        (Surroundings(namespaces=False, sysctl="user.max_user_namespaces = 0"), "(user.max_user_names", "sysctl"),
        (Surroundings(namespaces=False), "cannot be made here", "setting `sandbox`"),
        (Surroundings(home=False), "no home folder", "Set HOME"),
    ],
)
def test_what_containers_and_kernels_take(found: Surroundings, says: str, change: str) -> None:
    check = finding(found)
    assert check.verdict == "warn"
    assert says in check.sentence
    assert change in check.repair


def test_a_unit_without_namespaces_is_said_once() -> None:
    options = {**HARDENED, "RestrictNamespaces": "yes"}
    assert len(taken(Surroundings(unit="w.service", options=options, namespaces=False))) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="units and containers are Linux's")
async def test_these_surroundings_can_be_looked_at() -> None:
    found = await confinement()
    assert found.verdict in {"ok", "warn"}
    assert surroundings().namespaces is surroundings().namespaces


@pytest.mark.skipif(sys.platform != "linux", reason="units and containers are Linux's")
def test_a_pod_is_known_by_what_kubernetes_gives_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert surroundings().container == "Kubernetes"
