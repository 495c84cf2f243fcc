"""What `nvidia-smi` prints, read: as it is on an H200, as it is where fields are missing, and what is none of its."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.gpus import row, uuid_of
from worker_core.checks.gpus import gpus, told
from worker_core.machine import gpu_facts
from worker_core.machine.gpu_facts import GpuLook, labels, look, read
from worker_core.machine.load import HealthSampler
from worker_core.settings import Settings

H200 = f"0, {uuid_of(0)}, NVIDIA H200, 580.159.04, 143771, 0, 0, 28, 76.31, Disabled"
DIVIDED = f"1, {uuid_of(1)}, NVIDIA H200, 580.159.04, 143771, 620, [N/A], 30, 80.00, Enabled"
OLD = f"2, {uuid_of(2)}, Quadro K620, 470.256.02, 2002, [Not Supported], [N/A], 41, [N/A], [N/A]"
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch"


def program(file: Path, script: str) -> Path:
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_what_it_prints_is_read() -> None:
    first, divided, old = read([H200, "a line of something else", "", DIVIDED, OLD])
    assert (first.index, first.name, first.driver) == (0, "NVIDIA H200", "580.159.04")
    assert (first.memory_bytes, first.used_bytes) == (143771 * 1024**2, 0)
    assert (first.busy_percent, first.celsius, first.watts, first.is_divided) == (0, 28, 76.31, False)
    assert (divided.busy_percent, divided.used_bytes, divided.is_divided) == (None, 620 * 1024**2, True)
    assert (old.used_bytes, old.watts, old.is_divided) == (None, None, False)


def test_labels_are_the_models_their_number_and_the_least_memory() -> None:
    assert labels(()) == {}
    assert labels(read([H200])) == {"gpu": "NVIDIA H200", "gpu_count": "1", "gpu_memory_mb": "143771"}
    assert labels(read([H200, DIVIDED, OLD])) == {
        "gpu": "NVIDIA H200, Quadro K620", "gpu_count": "3", "gpu_memory_mb": "2002",
    }  # fmt: skip


@given(st.lists(st.text(max_size=200), max_size=20))
def test_no_text_breaks_it(lines: list[str]) -> None:
    for one in read(lines):
        assert one.name.isprintable()
        assert len(one.name) <= 80
        assert one.memory_bytes is None or one.memory_bytes >= 0


def test_a_name_cannot_say_more_than_a_name() -> None:
    [found] = read([H200.replace("NVIDIA H200", "\x1b[31mevil" + "x" * 500)])
    assert found.name.startswith("[31mevilx")
    assert len(found.name) == 80
    assert len(read(row(number) for number in range(64))) == 64
    assert len(read(row(number) for number in range(128))) == 64
    assert len(read([H200] * 500)) == 1, "one GPU is told once"


@pytest.mark.parametrize(
    "line",
    [
        H200.replace("0, GPU", "-1, GPU"), H200.replace("0, GPU", "1000, GPU"), H200.replace("0, GPU", "٣, GPU"),
        H200.replace("GPU-", "GPU-g"), H200.replace("GPU-5c", "MIG-5c"), H200 + ", more", H200[: H200.rindex(",")], "",
    ],
)  # fmt: skip
def test_a_line_that_is_not_just_as_it_should_be_is_none(line: str) -> None:
    assert read([line]) == ()


@pytest.mark.parametrize("said", ["nan", "inf", "-1", "1e5", "1_0", "٣", "0x10", "9" * 10, "1" * 5000, "", "[N/A]"])
def test_a_number_that_is_none_is_not_known(said: str) -> None:
    [found] = read([f"0, {uuid_of(0)}, N, D, {said}, {said}, {said}, {said}, {said}, Disabled"])
    assert (found.memory_bytes, found.used_bytes, found.busy_percent) == (None, None, None)
    assert (found.celsius, found.watts) == (None, None)


def test_nothing_is_busier_than_busy() -> None:
    assert [one.busy_percent for one in read([row(0, busy=100), row(1, busy=101)])] == [100, None]


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
def test_the_program_is_asked_and_its_failures_are_said(tmp_path: Path) -> None:
    good = program(tmp_path / "good", f'printf "%s\\n" "{H200}"; printf "%s" "$*" > {tmp_path}/asked')
    assert [one.name for one in look(str(good)).gpus] == ["NVIDIA H200"]
    assert (tmp_path / "asked").read_text().startswith("--query-gpu=index,uuid,name,driver_version,")
    mismatch = program(tmp_path / "mismatch", f"echo '{MISMATCH}'; exit 18")
    assert look(str(mismatch)).trouble == f"nvidia-smi failed: {MISMATCH}."
    assert look(str(program(tmp_path / "silent", "exit 3"))).trouble == "nvidia-smi failed: exit code 3."
    slow = program(tmp_path / "slow", "exec sleep 60")
    assert look(str(slow), limit_seconds=0.2).trouble == "nvidia-smi did not answer within 0.2 s."
    assert "could not be started" in look(str(tmp_path / "none")).trouble
    other = program(tmp_path / "other", "echo Welcome.")
    assert look(str(other)).trouble == "What nvidia-smi says cannot be read."
    assert look(str(program(tmp_path / "none there", "exit 0"))) == GpuLook()


def test_the_doctor_says_what_was_found() -> None:
    said = told(GpuLook(gpus=read([H200, DIVIDED])), given="Tools are given none.")
    assert said.verdict == "ok"
    assert said.sentence.startswith("0: NVIDIA H200, ")
    assert "0 % busy, 28 °C, 76 W; 1: " in said.sentence
    assert said.sentence.endswith("divided (MIG). Driver 580.159.04. Tools are given none.")
    assert told(GpuLook(trouble="It failed."), given="").verdict == "warn"
    assert told(GpuLook(), given="").sentence == "The driver knows no GPU."


async def test_the_doctor_says_that_the_setting_names_what_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_facts, "has_driver", lambda: False)
    found = await gpus(Settings(gpu="all"))
    assert (found.verdict, found.sentence) == ("warn", "This machine has no GPU whose driver works.")
    assert (await gpus(Settings(gpu="auto"))).sentence.endswith("There is none to give.")
    assert (await gpus(Settings())).verdict == "skip"


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins are shell scripts")
async def test_a_worker_asks_once_and_only_where_there_is_a_driver(tmp_path: Path) -> None:
    asked = tmp_path / "asked"
    smi = str(program(tmp_path / "smi", f'echo x >> {asked}; printf "%s\\n" "{H200}"'))
    sampler, node = HealthSampler(disk_path=tmp_path), tmp_path / "nvidiactl"
    await sampler.learn_gpus(driver=node, program=smi)
    assert not asked.exists()
    assert sampler.gpu_labels == {}
    node.touch()
    await asyncio.gather(*(sampler.learn_gpus(driver=node, program=smi) for _ in range(5)))
    await sampler.learn_gpus(driver=node, program=smi)
    assert asked.read_text().split() == ["x"]
    assert sampler.gpu_labels["gpu"] == "NVIDIA H200"


def test_it_is_found_beside_the_path(tmp_path: Path) -> None:
    assert gpu_facts.program(str(tmp_path), (str(tmp_path / "no"),)) is None
    place = tmp_path / "bin"
    place.mkdir()
    made = program(place / ("nvidia-smi.exe" if sys.platform == "win32" else "nvidia-smi"), "exit 0")
    assert gpu_facts.program(str(tmp_path), (str(place),)) == str(made)
