"""GPUs of machines that are made up: nothing here is one."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from worker_core.machine.gpus import MACHINE, NO_GPU, Gpus, node_number

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="device nodes are not Windows's")

DEVICES = """Character devices:
  1 mem
195 nvidia
195 nvidiactl
226 drm
237 kfd
508 nvidia-uvm
511 nvidia-caps

Block devices:
  7 loop
509 nvidia-uvm
"""
FIRST, SECOND = (f"GPU-0000000{n}-1111-2222-3333-444444444444" for n in "ab")
BOTH = {
    "dev/nvidia0": (195, 0),
    "dev/nvidia1": (195, 1),
    "dev/nvidiactl": (195, 255),
    "dev/nvidia-uvm": (508, 0),
}
AMD = {"dev/kfd": (237, 0), "dev/dri/renderD128": (226, 128), "dev/dri/renderD129": (226, 129)}
Machine = Callable[..., Gpus]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    def make(nodes: dict[str, tuple[int, int]], **files: str) -> Gpus:
        texts = {"proc/devices": DEVICES, **{name.replace("__", "/"): text for name, text in files.items()}}
        for name in nodes:
            texts.setdefault(name, "")
        for name, text in texts.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return Gpus(tmp_path, number_of=lambda path: nodes.get(str(path.relative_to(tmp_path))))

    return make


def information(minor: int, unique_id: str) -> str:
    """As its driver's file has it."""
    return (
        f"Model: \t\t NVIDIA H200\nIRQ: \t 10\nGPU UUID: \t {unique_id}\nBus Type: \t PCIe\nDevice Minor: \t {minor}\n"
    )


def known(**more: str) -> dict[str, str]:
    return {
        "proc/driver/nvidia/gpus/0000:01:00.0/information": information(0, FIRST),
        "proc/driver/nvidia/gpus/0000:02:00.0/information": information(1, SECOND),
        **more,
    }


def given(gpus: Gpus, wanted: str) -> list[str]:
    found = gpus.find(wanted)
    assert not found.problem
    gpus_of_it = [one for _, one in found.grant.nodes if one.name[-1].isdecimal() and "cap" not in one.name]
    assert found.grant.count == len(gpus_of_it)
    return [str(where) for _, where in found.grant.nodes]


def test_all_that_are_there(machine: Machine, tmp_path: Path) -> None:
    gpus = machine(BOTH, **known())
    for wanted in ("auto", "all"):
        assert given(gpus, wanted) == ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidia1"]
    grant = gpus.find("auto").grant
    assert grant.nodes[0] == (tmp_path / "dev/nvidiactl", Path("/dev/nvidiactl"))
    assert grant.variables == {"CUDA_VISIBLE_DEVICES": f"{FIRST},{SECOND}", "HIP_VISIBLE_DEVICES": "-1"}


def test_some_by_number_and_by_uuid(machine: Machine) -> None:
    gpus = machine(BOTH, **known())
    for wanted in ("1", SECOND.lower(), f"1,{SECOND.lower()}"):
        assert given(gpus, wanted) == ["/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia1"]
        assert gpus.find(wanted).grant.variables["CUDA_VISIBLE_DEVICES"] == SECOND
    found = gpus.find("0,7,gpu-x")
    assert (found.grant, found.problem) == (NO_GPU, "This machine has no GPU 7, gpu-x.")


def test_where_the_driver_tells_no_uuid_they_are_numbered_as_it_numbers_what_it_can_open(machine: Machine) -> None:
    gpus = machine(BOTH, **{"proc/driver/nvidia/gpus/x/information": information(1, "GPU-????????-????")})
    assert given(gpus, "1")[-1] == "/dev/nvidia1"
    assert gpus.find("1").grant.variables["CUDA_VISIBLE_DEVICES"] == "0"
    assert gpus.find("all").grant.variables["CUDA_VISIBLE_DEVICES"] == "0,1"


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("dev/nvidia1", (1, 1)),  # another driver's: memory
        ("dev/nvidia1", (195, 0)),  # another's number
        ("dev/nvidia1", None),  # a file or a link
    ],
)
def test_what_only_looks_like_one_is_none(machine: Machine, name: str, number: tuple[int, int] | None) -> None:
    nodes = {**BOTH, name: number}
    gpus = machine({one: found for one, found in nodes.items() if found is not None}, dev__nvidia1="")
    assert given(gpus, "all")[-1] == "/dev/nvidia0"
    assert gpus.find("1").problem == "This machine has no GPU 1."


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("nvidiactl", (195, 254)), ("nvidiactl", (1, 255)), ("nvidiactl", None),
        ("nvidia-uvm", (509, 0)), ("nvidia-uvm", (195, 0)), ("nvidia-uvm", None),
    ],
)  # fmt: skip
def test_without_what_all_need_nothing_is_given(machine: Machine, name: str, number: tuple[int, int] | None) -> None:
    nodes = {one: found for one, found in BOTH.items() if one != f"dev/{name}"}
    gpus = machine(nodes if number is None else {**nodes, f"dev/{name}": number})
    for wanted in ("auto", "all", "0"):
        found = gpus.find(wanted)
        assert found.grant == NO_GPU
        assert f"dev/{name} is no device of its driver" in found.problem


def test_a_machine_without(machine: Machine) -> None:
    gpus = machine({})
    assert gpus.find("auto").problem == ""
    assert gpus.find("all").problem == gpus.find("0").problem == "This machine has no GPU whose driver works."
    assert gpus.find("all").grant == gpus.find("auto").grant == NO_GPU


def test_the_rights_to_instances_go_with_their_gpu(machine: Machine) -> None:
    capability = "proc/driver/nvidia/capabilities/gpu0/mig"
    files = {
        f"{capability}/config": "DeviceFileMinor: 1\n",
        f"{capability}/gi1/access": "DeviceFileMinor: 12\nDeviceFileMode: 292\n",
        f"{capability}/gi1/ci0/access": "DeviceFileMinor: 13\n",
        f"{capability}/gi2/access": "DeviceFileMinor: 21\n",
        f"{capability}/gi3/access": "nonsense\n",
        "proc/driver/nvidia/capabilities/gpu1/mig/gi1/access": "DeviceFileMinor: 30\n",
    }
    nodes = {f"dev/nvidia-caps/nvidia-cap{n}": (511, n) for n in (1, 12, 13, 30)}
    gpus = machine({**BOTH, **nodes, "dev/nvidia-caps/nvidia-cap21": (1, 21)}, **known(**files))
    assert given(gpus, "0")[2:] == ["/dev/nvidia0", "/dev/nvidia-caps/nvidia-cap12", "/dev/nvidia-caps/nvidia-cap13"]
    assert given(gpus, "1")[2:] == ["/dev/nvidia1", "/dev/nvidia-caps/nvidia-cap30"]


def test_amd(machine: Machine, tmp_path: Path) -> None:
    vendors = {f"sys/class/drm/renderD{n}/device/vendor": "0x1002\n" for n in (128, 129)}
    gpus = machine(AMD, **vendors, **{"sys/devices/virtual/kfd/kfd/topology/nodes": ""})
    assert given(gpus, "all") == ["/dev/kfd", "/dev/dri/renderD128", "/dev/dri/renderD129"]
    assert given(gpus, "1") == ["/dev/kfd", "/dev/dri/renderD129"]
    grant = gpus.find("all").grant
    assert grant.variables == {"CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "0,1"}
    assert grant.readable == ((tmp_path / "sys/devices/virtual/kfd", Path("/sys/devices/virtual/kfd")),)
    other = machine(AMD, **{"sys/class/drm/renderD128/device/vendor": "0x8086\n"})
    assert given(other, "all") == ["/dev/kfd", "/dev/dri/renderD129"]


def test_a_machine_whose_display_is_another_makers_has_no_gpu(machine: Machine) -> None:
    nodes = {name: number for name, number in AMD.items() if name != "dev/kfd"}
    assert machine(nodes).find("all").grant == NO_GPU


def test_folders_of_drivers_that_came_from_outside(machine: Machine) -> None:
    assert "LD_LIBRARY_PATH" not in machine(BOTH).find("all").grant.variables
    gpus = machine(BOTH, **{"usr/local/nvidia/lib64/libcuda.so.1": "", "usr/local/nvidia/lib/other": ""})
    assert gpus.find("all").grant.variables["LD_LIBRARY_PATH"] == "/usr/local/nvidia/lib64"


def test_what_a_call_says_itself_narrows_a_grant_and_is_nothing_without_one(machine: Machine) -> None:
    grant = machine(BOTH).find("all").grant
    said = {"CUDA_VISIBLE_DEVICES": "1", "A": "b"}
    assert grant.visible({})["CUDA_VISIBLE_DEVICES"] == "0,1"
    assert grant.visible(said)["CUDA_VISIBLE_DEVICES"] == "1"
    assert NO_GPU.visible(said) == {"A": "b", "CUDA_VISIBLE_DEVICES": "-1", "HIP_VISIBLE_DEVICES": "-1"}


def test_numbers_of_nodes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to("/dev/null")
    assert node_number(Path("/dev/null")) is not None
    assert [node_number(tmp_path / name) for name in ("file", "link", "nothing")] == [None, None, None]


@pytest.mark.skipif(sys.platform != "linux" or os.getuid() != 0, reason="only root of Linux makes device nodes")
def test_real_nodes(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "dev").mkdir()
    (tmp_path / "proc/devices").write_text(DEVICES)
    for name, (major, minor) in BOTH.items():
        try:
            os.mknod(tmp_path / name, stat.S_IFCHR | 0o666, os.makedev(major, minor))
        except PermissionError:
            pytest.skip("this root may not make device nodes")
    os.mknod(tmp_path / "dev/nvidia2", stat.S_IFBLK | 0o666, os.makedev(195, 2))
    (tmp_path / "dev/nvidia3").symlink_to("nvidia0")
    assert given(Gpus(tmp_path), "all")[2:] == ["/dev/nvidia0", "/dev/nvidia1"]


def test_this_machine_can_be_asked() -> None:
    found = MACHINE.find("auto")
    assert bool(found.grant.nodes) == bool(found.grant.count)
