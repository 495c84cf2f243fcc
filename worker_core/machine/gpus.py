"""Which GPUs of this machine a tool call is given: their device nodes, and the variables that name them.

Read from device nodes and from what drivers tell below /proc, without a library or a program of theirs. Only a
character device with the number of its driver is ever given; a file or a link in its place, or a number that the kernel
has given to another driver, is none. Imported only where the setting `gpu` is not `off`.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import field
from pathlib import Path
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded

AUTO: Final = "auto"
ALL: Final = "all"
VARIABLES: Final = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")
"""What CUDA and ROCm take for the list of GPUs that a program may use; `-1` is none."""

_NO_DEVICE: Final = "-1"
_NVIDIA_MAJOR: Final = 195
_DRM_MAJOR: Final = 226
"""Assigned (the kernel's admin-guide/devices). The others' are told by the kernel alone."""

_CONTROL_MINOR: Final = 255
_FIRST_RENDER_MINOR: Final = 128

_NVIDIA: Final = re.compile(r"nvidia(\d{1,3})")
_RENDER: Final = re.compile(r"renderD(\d{3})")
_AMD_VENDOR: Final = "0x1002"

_LIBRARIES: Final = {
    "libcuda.so.1": ("usr/local/nvidia/lib64", "usr/local/nvidia/lib", "usr/lib/wsl/lib"),
    "libamdhip64.so": ("opt/rocm/lib",),
}
"""Folders of drivers that a loader's cache may not know, as in containers whose driver came from outside."""

_TOPOLOGY: Final = ("devices/virtual/kfd", "class/kfd")
"""Below /sys: where ROCm finds its GPUs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuGrant:
    """What of GPUs one call is given."""

    nodes: tuple[tuple[Path, Path], ...] = ()
    """Device nodes: what is given, and where programs look for it. Empty: no GPU."""

    readable: tuple[tuple[Path, Path], ...] = ()
    """Folders that go with it, in the same way."""

    variables: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(VARIABLES, _NO_DEVICE))
    count: int = 0
    """GPUs."""

    def visible(self, environment: Mapping[str, str]) -> dict[str, str]:
        """Variables of a call with those of the grant. What the call itself says can narrow a grant: the nodes are the
        wall.
        """
        return {**self.variables, **environment} if self.nodes else {**environment, **self.variables}


NO_GPU: Final = GpuGrant()
"""The owner allows GPUs to others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a setting comes to on this machine."""

    grant: GpuGrant = NO_GPU
    problem: str = ""
    """A sentence: why nothing is given. Empty: something is, or the setting is content with none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Gpu:
    index: int
    """Of its node."""

    node: Path
    unique_id: str = ""
    """`GPU-…`; empty: the driver does not tell."""


def node_number(path: Path) -> tuple[int, int] | None:
    """Major and minor number of a character device; None: there is none, or something else is there."""
    if sys.platform == "win32":
        return None
    try:
        found = path.lstat()
    except OSError:
        return None
    return (os.major(found.st_rdev), os.minor(found.st_rdev)) if stat.S_ISCHR(found.st_mode) else None


class Gpus:
    """Of one machine.

    Args:
        root: below which its `dev`, `proc`, `sys` and folders of drivers are.
        number_of: `node_number`.

    """

    def __init__(
        self, root: Path = Path("/"), *, number_of: Callable[[Path], tuple[int, int] | None] = node_number
    ) -> None:
        self._root = root
        self._number_of = number_of

    def find(self, wanted: str) -> Found:
        """Look for what the setting `gpu` names. It takes less than a millisecond.

        Args:
            wanted: `auto`, `all`, or indices and UUIDs with commas between them, as `read_gpus` gives it.
        """
        majors = self._majors()
        found = self._nvidia(majors)
        make = self._of_nvidia
        if not found:
            found, make = self._amd(majors), self._of_amd
        if not found:
            none = worded("This machine has no GPU whose driver works.")
            return Found(problem="" if wanted == AUTO else none)
        if wanted in {AUTO, ALL}:
            return make(found, majors)
        names = wanted.split(",")
        chosen = [one for one in found if {str(one.index), one.unique_id.lower()} & set(names)]
        known = {name for one in chosen for name in (str(one.index), one.unique_id.lower())}
        if missing := [name for name in names if name not in known]:
            return Found(problem=worded("This machine has no GPU {names}.", names=", ".join(missing)))
        return make(chosen, majors)

    def _nvidia(self, majors: Mapping[str, Collection[int]]) -> list[_Gpu]:
        ids = dict(self._unique_ids())
        numbers = _named(majors, "nvidia", "nvidia-frontend") or {_NVIDIA_MAJOR}
        found = []
        for node, index in self._in("dev", _NVIDIA):
            number = self._number_of(node)
            if number is not None and number[0] in numbers and number[1] == index:
                found.append(_Gpu(index=index, node=node, unique_id=ids.get(index, "")))
        return sorted(found, key=lambda one: one.index)

    def _of_nvidia(self, gpus: Sequence[_Gpu], majors: Mapping[str, Collection[int]]) -> Found:
        control, memory = (self._root / "dev" / name for name in ("nvidiactl", "nvidia-uvm"))
        number, numbers = self._number_of(control), _named(majors, "nvidia", "nvidiactl", "nvidia-frontend")
        if number is None or number[0] not in (numbers or {_NVIDIA_MAJOR}) or number[1] != _CONTROL_MINOR:
            return Found(
                problem=worded("No call is given a GPU: {node} is no device of its driver.", node=str(control))
            )
        number = self._number_of(memory)
        if number is None or number[0] not in _named(majors, "nvidia-uvm"):
            return Found(
                problem=worded(
                    "No call is given a GPU: {node} is no device of its driver (`nvidia-modprobe -u -c 0` makes it).",
                    node=str(memory),
                )
            )
        nodes = [control, memory, *(one.node for one in gpus)]
        nodes += [node for one in gpus for node in self._instances(one.index, majors)]
        # A driver numbers anew what it can open, so that indices of the machine would name other ones.
        every = all(one.unique_id for one in gpus)
        names = ",".join(one.unique_id if every else str(place) for place, one in enumerate(gpus))
        variables = {"CUDA_VISIBLE_DEVICES": names, "HIP_VISIBLE_DEVICES": _NO_DEVICE}
        return self._given(nodes, variables, count=len(gpus), library="libcuda.so.1")

    def _instances(self, index: int, majors: Mapping[str, Collection[int]]) -> Iterator[Path]:
        """Where MIG is on: the right to use each instance of a GPU. Not the one to make them."""
        below = self._root / "proc/driver/nvidia/capabilities" / f"gpu{index}" / "mig"
        for file in sorted((*below.glob("gi*/access"), *below.glob("gi*/ci*/access"))):
            with suppress(OSError, ValueError, KeyError):
                minor = int(_fields(file.read_text(encoding="ascii"))["DeviceFileMinor"])
                node = self._root / "dev/nvidia-caps" / f"nvidia-cap{minor}"
                number = self._number_of(node)
                if number is not None and number[0] in _named(majors, "nvidia-caps") and number[1] == minor:
                    yield node

    def _unique_ids(self) -> Iterator[tuple[int, str]]:
        """Of GPUs, by the index of their nodes, as the driver tells them."""
        for file in (self._root / "proc/driver/nvidia/gpus").glob("*/information"):
            with suppress(OSError, ValueError, KeyError):
                said = _fields(file.read_text(encoding="ascii"))
                if re.fullmatch(r"GPU-[0-9a-f-]{36}", said["GPU UUID"]):
                    yield int(said["Device Minor"]), said["GPU UUID"]

    def _amd(self, majors: Mapping[str, Collection[int]]) -> list[_Gpu]:
        """In the order of their nodes."""
        number = self._number_of(self._root / "dev/kfd")
        if number is None or number[0] not in _named(majors, "kfd"):
            return []
        found: list[_Gpu] = []
        for node, minor in sorted(self._in("dev/dri", _RENDER)):
            number = self._number_of(node)
            vendor = ""
            with suppress(OSError):
                vendor = (self._root / "sys/class/drm" / node.name / "device/vendor").read_text().strip()
            if number == (_DRM_MAJOR, minor) and minor >= _FIRST_RENDER_MINOR and vendor == _AMD_VENDOR:
                found.append(_Gpu(index=len(found), node=node))
        return found

    def _of_amd(self, gpus: Sequence[_Gpu], majors: Mapping[str, Collection[int]]) -> Found:  # noqa: ARG002
        nodes = [self._root / "dev/kfd", *(one.node for one in gpus)]
        names = ",".join(map(str, range(len(gpus))))
        variables = {"CUDA_VISIBLE_DEVICES": _NO_DEVICE, "HIP_VISIBLE_DEVICES": names}
        shown = [self._root / "sys" / name for name in _TOPOLOGY]
        return self._given(nodes, variables, count=len(gpus), library="libamdhip64.so", readable=shown)

    def _given(
        self,
        nodes: Sequence[Path],
        variables: dict[str, str],
        *,
        count: int,
        library: str,
        readable: Sequence[Path] = (),
    ) -> Found:
        folders = [Path("/", name) for name in _LIBRARIES[library] if (self._root / name / library).exists()]
        if folders:
            variables["LD_LIBRARY_PATH"] = os.pathsep.join(map(str, folders))
        return Found(
            grant=GpuGrant(
                nodes=tuple((node, self._usual(node)) for node in nodes),
                readable=tuple((folder, self._usual(folder)) for folder in readable if folder.is_dir()),
                variables=variables,
                count=count,
            )
        )

    def _usual(self, path: Path) -> Path:
        return Path("/") / path.relative_to(self._root)

    def _in(self, folder: str, names: re.Pattern[str]) -> Iterator[tuple[Path, int]]:
        """Of what is in a folder and fits: each path, with its number."""
        place = self._root / folder
        with suppress(OSError):
            for path in place.iterdir():
                if fits := names.fullmatch(path.name):
                    yield path, int(fits[1])

    def _majors(self) -> Mapping[str, Collection[int]]:
        """Numbers of character devices, by driver (proc_devices(5))."""
        found: dict[str, set[int]] = {}
        with suppress(OSError, ValueError):
            text = (self._root / "proc/devices").read_text(encoding="ascii")
            for line in text.partition("Block devices:")[0].splitlines()[1:]:
                number, _, name = line.strip().partition(" ")
                if number:
                    found.setdefault(name, set()).add(int(number))
        return found


MACHINE: Final = Gpus()


def _named(majors: Mapping[str, Collection[int]], *names: str) -> set[int]:
    return {number for name in names for number in majors.get(name, ())}


def _fields(text: str) -> dict[str, str]:
    """Of lines `name: value`."""
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}
