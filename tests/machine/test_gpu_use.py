"""How busy GPUs are and with whose processes, as recorded outputs of `nvidia-smi` and files of AMD's driver tell it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gpus import FakeSmi, needs_scripts, row, uuid_of
from worker_core.basics import typed_json
from worker_core.machine import gpu_facts
from worker_core.machine.gpu_use import (
    LISTED,
    PARTS,
    GpuProcess,
    GpuUse,
    amd,
    look,
    read_parts,
    read_processes,
)

MB = 1024**2


told = partial(look, limit_seconds=120.0)
"""Where an answer comes: a busy machine takes its time."""


def nobody(processes: Collection[int]) -> Mapping[int, str]:
    return {}


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeSmi:
    return FakeSmi(tmp_path / "bin", monkeypatch)


@needs_scripts
def test_one_gpu_with_a_process_of_ours_and_two_of_others(smi: FakeSmi) -> None:
    smi.answers("gpus", [row(0, used=2400)])
    smi.answers("processes", [f"{uuid_of(0)}, {pid}, {memory}" for pid, memory in ((31, 620), (32, 900), (33, 860))])
    found = told(lambda processes: {pid: "ours" for pid in processes if pid == 32})
    [one] = found.gpus
    assert (one.gpu.name, one.gpu.busy_percent, one.gpu.watts) == ("NVIDIA H200", 41, 76.31)
    assert one.processes == (GpuProcess(pid=32, execution_id="ours", memory_bytes=900 * MB),)
    assert (one.unlisted, one.others, found.trouble) == (0, 2, "")
    assert smi.asked == ["--query-gpu", "--query-compute-apps"]
    assert typed_json.convert(msgspec.json.decode(msgspec.json.encode(found)), GpuUse) == found


@needs_scripts
def test_eight_gpus_with_one_program_on_all(smi: FakeSmi) -> None:
    smi.answers("gpus", [row(number) for number in range(8)])
    smi.answers("processes", [f"{uuid_of(number)}, 31, 620" for number in range(8)])
    found = told(lambda processes: dict.fromkeys(processes, "ours"))
    assert [one.gpu.index for one in found.gpus] == list(range(8))
    assert {one.processes for one in found.gpus} == {(GpuProcess(pid=31, execution_id="ours", memory_bytes=620 * MB),)}


@needs_scripts
def test_a_divided_gpu_names_its_parts_and_has_their_processes(smi: FakeSmi) -> None:
    smi.answers("gpus", [row(0, busy="[N/A]", mig="Enabled"), row(1)])
    smi.answers(
        "parts",
        [
            f"GPU 0: NVIDIA H200 (UUID: {uuid_of(0)})",
            f"  MIG 3g.71gb     Device  0: (UUID: {uuid_of(10, 'MIG')})",
            f"  MIG 1g.18gb+me  Device  1: (UUID: {uuid_of(11, 'MIG')})",
            f"GPU 1: NVIDIA H200 (UUID: {uuid_of(1)})",
        ],
    )
    part, other = uuid_of(10, "MIG"), uuid_of(11, "MIG")
    smi.answers("processes", [f"{part}, 31, 620", f"{other}, 31, 100", f"{other}, 32, [N/A]", f"{uuid_of(1)}, 33, 7"])
    first, second = told(lambda processes: {31: "ours", 32: "ours"}).gpus
    assert (first.gpu.busy_percent, first.parts, second.parts) == (None, ("3g.71gb", "1g.18gb+me"), ())
    assert [(one.pid, one.memory_bytes) for one in first.processes] == [(31, 720 * MB), (32, None)]
    assert (first.others, second.others) == (0, 1)


@needs_scripts
def test_what_an_older_card_does_not_say_is_not_known(smi: FakeSmi) -> None:
    smi.answers(
        "gpus", [f"0, {uuid_of(0)}, Quadro K620, 470.256.02, 2002, [Not Supported], [N/A], [N/A], [N/A], [N/A]"]
    )
    smi.answers("processes", [f"{uuid_of(0)}, 31, [N/A]"])
    [one] = told(lambda processes: {31: "ours"}).gpus
    assert (one.gpu.used_bytes, one.gpu.busy_percent, one.gpu.celsius, one.gpu.watts) == (None, None, None, None)
    assert one.processes == (GpuProcess(pid=31, execution_id="ours"),)


@needs_scripts
def test_one_that_hangs_is_a_sentence(smi: FakeSmi) -> None:
    smi.does("gpus", "exec sleep 1000")
    assert look(nobody, limit_seconds=0.3).trouble.startswith("nvidia-smi did not answer within ")


@needs_scripts
def test_gpus_are_told_where_their_processes_are_not(smi: FakeSmi) -> None:
    smi.answers("gpus", [row(0)])
    smi.does("processes", "echo 'Unable to determine the device handle'; exit 9")
    found = told(nobody)
    assert [one.others for one in found.gpus] == [None]
    assert found.trouble == (
        "Which processes use the GPUs is not known: nvidia-smi failed: Unable to determine the device handle."
    )
    assert "".join(phrase.text for phrase in found.said) == "Which processes use the GPUs is not known: {why}"


@needs_scripts
def test_an_error_of_the_driver_is_said(smi: FakeSmi) -> None:
    smi.does("gpus", "echo 'NVIDIA-SMI has failed because it could not communicate with the driver.'; exit 9")
    found = told(nobody)
    assert found.gpus == ()
    assert found.trouble.startswith("nvidia-smi failed: NVIDIA-SMI has failed because it could not comm")
    assert smi.asked == ["--query-gpu"], "nothing else is asked then"


@needs_scripts
def test_torn_and_hostile_lines_count_for_nothing(smi: FakeSmi) -> None:
    smi.does("gpus", f"echo '{row(0)}'; echo '\x1b[2J{row(1)}'; printf '%s' '{row(2)[:40]}'")
    good = f"{uuid_of(0)}, 31, 620"
    smi.answers("processes", [good, good[:30], f"{uuid_of(9)}, 32, 1", f"{uuid_of(0)}, -1, 1", f"{uuid_of(0)}, 0, 1"])
    [one] = told(lambda processes: dict.fromkeys(processes, "ours")).gpus
    assert [process.pid for process in one.processes] == [31]


@needs_scripts
def test_ten_times_as_many_processes_are_listed_no_longer(smi: FakeSmi) -> None:
    """Those with the most memory first; the others are counted, whosever they are."""
    smi.answers("gpus", [row(0)])
    for times in (1, 2, 10):
        smi.answers("processes", [f"{uuid_of(0)}, {pid}, {pid}" for pid in range(1, 2 * LISTED * times + 1)])
        [one] = told(lambda processes: {pid: "ours" for pid in processes if pid % 2}).gpus
        assert len(one.processes) == LISTED
        assert one.processes[0].pid == 2 * LISTED * times - 1
        assert (one.unlisted, one.others) == (LISTED * (times - 1), LISTED * times)


def test_no_more_rows_and_parts_are_read_than_there_can_be() -> None:
    assert len(read_processes(f"{uuid_of(0)}, {pid}, 1" for pid in range(1, 4097))) == 4096
    assert len(read_processes(f"{uuid_of(0)}, {pid}, 1" for pid in range(1, 8193))) == 4096
    for count in (PARTS, 2 * PARTS):
        parts = [f"  MIG 1g.18gb     Device  0: (UUID: {uuid_of(number, 'MIG')})" for number in range(count)]
        found = read_parts([f"GPU 0: NVIDIA H200 (UUID: {uuid_of(0)})", *parts])
        assert len(found[uuid_of(0)]) == PARTS
    gpus = [f"GPU {number}: N (UUID: {uuid_of(number)})" for number in range(128)]
    assert len(read_parts(gpus[:64])) == len(read_parts(gpus)) == 64
    assert read_parts(parts) == {}, "parts of nothing"


@given(st.lists(st.text(max_size=200), max_size=20))
def test_no_text_breaks_it(lines: list[str]) -> None:
    for (uuid, pid), memory in read_processes(lines).items():
        assert len(uuid) == 40
        assert pid > 0
        assert memory is None or memory >= 0
    assert len(read_parts(lines)) <= 64


def amd_card(root: Path, name: str, vendor: str = "0x1002", **files: str) -> None:
    device = root / "sys/class/drm" / name / "device"
    (device / "hwmon/hwmon3").mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    for file, text in files.items():
        (device / file.replace("hwmon_", "hwmon/hwmon3/")).write_text(f"{text}\n")


def test_of_amd_is_said_what_is_known_and_what_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_facts, "has_driver", lambda: False)
    monkeypatch.setattr("sys.platform", "linux")
    assert look(nobody, root=tmp_path) == GpuUse()
    amd_card(
        tmp_path, "renderD129", product_name="AMD Instinct MI300X", gpu_busy_percent="97",
        mem_info_vram_total=str(192 * 1024 * MB), mem_info_vram_used=str(3 * MB), hwmon_temp1_input="54000",
        hwmon_power1_average="412000000",
    )  # fmt: skip
    amd_card(tmp_path, "renderD128", gpu_busy_percent="101", mem_info_vram_used="-3", hwmon_temp1_input="x")
    amd_card(tmp_path, "renderD130", vendor="0x8086", gpu_busy_percent="1")
    amd_card(tmp_path, "card0", gpu_busy_percent="1")
    assert look(nobody, root=tmp_path) == GpuUse(), "without a driver of AMD's nothing is read"
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").touch()
    found = look(nobody, root=tmp_path)
    silent, said = (one.gpu for one in found.gpus)
    assert (silent.name, silent.busy_percent, silent.used_bytes, silent.celsius) == (
        "AMD (renderD128)",
        None,
        None,
        None,
    )
    assert (said.name, said.busy_percent, said.celsius, said.watts) == ("AMD Instinct MI300X", 97, 54, 412)
    assert (said.memory_bytes, said.used_bytes) == (192 * 1024 * MB, 3 * MB)
    assert [one.others for one in found.gpus] == [None, None]
    assert found.trouble == "AMD's driver does not tell which processes use a GPU."


def test_no_more_cards_are_read_than_there_can_be(tmp_path: Path) -> None:
    for number in range(128, 256):
        amd_card(tmp_path, f"renderD{number}")
    assert len(amd(tmp_path)) == 64


def test_of_apple_nothing_is_known_and_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_facts, "has_driver", lambda: False)
    monkeypatch.setattr("sys.platform", "darwin")
    found = look(nobody, root=tmp_path)
    assert found.gpus == ()
    assert found.trouble.startswith("Of Apple's GPU nothing is known here")
