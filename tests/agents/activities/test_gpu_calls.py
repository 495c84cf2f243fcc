"""Who is given GPUs, and how many calls at once."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.gpus import GPUS, uuid_of
from worker_core.agents.activities.gpu_calls import gpus_for, gpus_of_call
from worker_core.agents.activities.gpu_places import GpuPlaces, NoPlace, longest_wait
from worker_core.agents.messages import RunTool, ToolCall
from worker_core.machine import gpus
from worker_core.machine.gpus import NO_GPU, Found
from worker_core.settings import Settings, load
from worker_core.settings.choices import read_gpus
from worker_core.tools.registry import SkillDefinition


class Machine:
    """One that has what is asked for."""

    def find(self, wanted: str) -> Found:
        assert wanted != "off"
        return Found(grant=GPUS)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "MACHINE", Machine())


@pytest.mark.parametrize(
    ("text", "read"),
    [("off", "off"), (" ALL ", "all"), ("auto", "auto"), ("1, 0,1,", "1,0"), ("007", "7"),
     (f"GPU-{'A' * 8}-1111-2222-3333-{'B' * 12}", f"gpu-{'a' * 8}-1111-2222-3333-{'b' * 12}")],
)  # fmt: skip
def test_the_setting(text: str, read: str, tmp_path: Path) -> None:
    assert read_gpus(text) == read == read_gpus(read)
    file = tmp_path / "config.toml"
    file.write_text(f'gpu = "{text}"\n')
    assert load(environ={}, file=file).gpu == read


@pytest.mark.parametrize(
    "text", ["", ",", "on", "all,0", "off,auto", "-1", "1.5", "0 1", "MI-x", "GPU-1", "/dev/sda", "٣"]
)
def test_what_names_no_gpu_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="it must be off, auto, all, or numbers"):
        read_gpus(text)


@pytest.mark.parametrize("text", [uuid_of(0, "MIG"), f"0,{uuid_of(0, 'MIG')}", f"MIG-{uuid_of(0)}/1/0"])
def test_a_part_of_a_gpu_is_refused_with_what_to_do_instead(text: str) -> None:
    with pytest.raises(ValueError, match="whole ones alone are given: name its GPU"):
        read_gpus(text)


def request(**more: Any) -> RunTool:
    return RunTool(
        execution_id="e", kind="agent", entity_id="agent", turn=1, skills=(), parent_message_id="", timeout_seconds=1,
        call=ToolCall(call_id="c", name="shell", arguments="{}"), **more,
    )  # fmt: skip


def given(skill: str | None = "shell", *, only: tuple[str, ...] = (), gpu: str = "auto", **more: Any) -> Found | None:
    settings = Settings(gpu=gpu, gpu_for=only)
    definition = None if skill is None else SkillDefinition(name="mine", type=skill)
    return gpus_of_call(settings, request(**more), queue_id="queue", skill=definition)


def test_off_is_nothing_at_all() -> None:
    assert given(gpu="off") is None
    assert Settings().gpu == "off"


def test_while_it_is_off_nothing_of_it_is_imported() -> None:
    code = """
import sys
from worker_core.agents.activities import foreseen, gpu_calls, tool_calls
from worker_core.sandbox import choice, direct, landlock_sandbox, linux, spares
from worker_core.settings import Settings
assert gpu_calls.gpus_for(Settings(), skill_type="shell", names=()) is None
print("worker_core.machine.gpus" in sys.modules)
gpu_calls.gpus_for(Settings(gpu="auto"), skill_type="shell", names=())
print("worker_core.machine.gpus" in sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("skill", ["shell", "python", "workflow_executor"])
def test_what_runs_what_an_agent_chooses_has_it(skill: str) -> None:
    assert given(skill) == Found(grant=GPUS)


@pytest.mark.parametrize("skill", ["file_system", "docker", "web_fetch", None])
def test_others_and_servers_have_none(skill: str | None) -> None:
    assert given(skill) == given(skill, only=("queue", "agent", "mine")) == Found(grant=NO_GPU)


@pytest.mark.parametrize("name", ["queue", "agent", "team", "shell", "mine"])
def test_for_some_alone(name: str) -> None:
    assert given(only=("another", name), granted_as=("team",)) == Found(grant=GPUS)
    assert given(only=("another",), granted_as=("team",)) == Found(grant=NO_GPU)


def test_a_sandbox_is_foreseen_by_queue_and_type() -> None:
    settings = Settings(gpu="all", gpu_for=("queue",))
    assert gpus_for(settings, skill_type="python", names=("queue", "python")) == Found(grant=GPUS)
    assert gpus_for(settings, skill_type="python", names=("other", "python")) == Found(grant=NO_GPU)
    assert gpus_for(settings, skill_type="read_file", names=("queue", "read_file")) == Found(grant=NO_GPU)


async def hold(
    places: GpuPlaces, settings: Callable[[], Settings], said: list[str], until: asyncio.Event, got: asyncio.Event
) -> None:
    async with places.place(settings, say=said.append):
        got.set()
        await until.wait()


def limited(most: int | None, **more: Any) -> Settings:
    return Settings(gpu="auto", gpu_calls=most, **more)


async def test_so_many_at_once_and_others_wait_and_say_so() -> None:
    places, said, ends, got = GpuPlaces(), [], [asyncio.Event() for _ in range(3)], [asyncio.Event() for _ in range(3)]
    running = [asyncio.create_task(hold(places, lambda: limited(2), said, ends[n], got[n])) for n in range(3)]
    await got[0].wait()
    await got[1].wait()
    while not said:
        await asyncio.sleep(0)
    assert said == ["Waits for a GPU. Calls that have one now: 2."]
    assert not got[2].is_set()
    ends[0].set()
    await got[2].wait()
    for end in ends:
        end.set()
    await asyncio.gather(*running)
    assert len(said) == 1


async def test_one_that_is_cancelled_while_it_waits_takes_no_place() -> None:
    places, said, end, got = GpuPlaces(), [], asyncio.Event(), asyncio.Event()
    first = asyncio.create_task(hold(places, lambda: limited(1), said, end, got))
    await got.wait()
    second = asyncio.create_task(hold(places, lambda: limited(1), said, end, asyncio.Event()))
    while not said:
        await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    end.set()
    await first
    async with places.place(lambda: limited(1), say=said.append):
        assert len(said) == 1


async def test_who_waits_too_long_is_told_and_has_run_nothing() -> None:
    places, said, end, got = GpuPlaces(), [], asyncio.Event(), asyncio.Event()
    settings = limited(1, tool_timeout=timedelta(milliseconds=10))
    first = asyncio.create_task(hold(places, lambda: settings, said, end, got))
    await got.wait()
    with pytest.raises(NoPlace, match=re.escape("Nothing was run: for ")):
        await hold(places, lambda: settings, said, end, asyncio.Event())
    end.set()
    await first


async def test_without_a_limit_nobody_waits() -> None:
    places, said = GpuPlaces(), []
    async with (
        places.place(lambda: limited(None), say=said.append),
        places.place(lambda: limited(None), say=said.append),
    ):
        assert said == []


def test_a_call_has_the_time_to_wait_beside_its_own() -> None:
    assert longest_wait(limited(1)) == timedelta(minutes=10)
    assert longest_wait(limited(None)) == longest_wait(Settings(gpu_calls=1)) == timedelta()
