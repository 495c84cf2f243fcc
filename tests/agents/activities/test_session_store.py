"""What is stored of a conversation never outgrows its limit; the transcript in the workspace has all of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.agents.activities import session_store
from worker_core.agents.activities.session_store import LARGEST_SESSION_BYTES, TRANSCRIPT, bounded, merge, shown
from worker_core.logs.redaction import Redactor


class Server:
    """A session as the server has it: replaced as a whole."""

    def __init__(self) -> None:
        self.session: dict[str, Any] | None = None
        self.sizes: list[int] = []

    async def save_session(self, execution_id: str, *, messages: list[dict[str, Any]], **_: Any) -> None:
        self.session = json.loads(msgspec.json.encode({"messages": messages}))
        self.sizes.append(len(msgspec.json.encode(messages)))


class World:
    def __init__(self, root: Path) -> None:
        self.client = Server()
        self.workspaces = root
        self.redactor = Redactor()


def turn(number: int, output: str) -> list[dict[str, Any]]:
    at = f"2026-01-01T{number // 3600:02}:{number // 60 % 60:02}:{number % 60:02}"
    return [
        {"role": "user", "content": f"question {number}", "message_id": f"u{number}", "timestamp": f"{at}.1"},
        {
            "role": "tool", "content": output, "message_id": f"t{number}", "timestamp": f"{at}.2",
            "tool_name": "shell", "tool_input": {"command": "x" * 5000, "n": 1}, "tool_status": "success",
        },
        {"role": "assistant", "content": f"answer {number}", "message_id": f"a{number}", "timestamp": f"{at}.3"},
    ]  # fmt: skip


async def keep(world: World, news: list[dict[str, Any]], number: int, *, repeated: bool = False) -> None:
    await session_store.store(
        world,  # type: ignore[arg-type]
        "exec",
        stored=world.client.session,
        news=news,
        user_id="",
        turn=number,
        repeated=repeated,
    )


def transcript(world: World) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (world.workspaces / "exec" / TRANSCRIPT).read_text().splitlines()]


async def test_many_turns_stay_below_the_limit_and_lose_nothing_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_store, "LARGEST_SESSION_BYTES", 300_000)
    world = World(tmp_path)
    for number in range(500):
        await keep(world, turn(number, f"{number} " + "y" * 10_000), number)
    assert max(world.client.sizes) <= 300_000
    assert world.client.session is not None
    kept = world.client.session["messages"]
    assert kept[-1]["content"] == "answer 499"
    assert len(kept[-2]["tool_output"]["output"]) < 2_200
    assert kept[0]["role"] == "system"
    assert "transcript" in kept[0]["content"]
    assert sum(1 for one in kept if one["role"] == "system") == 1
    assert len(kept) > 200
    whole = transcript(world)
    assert len(whole) == 1500
    assert all(len(one["content"]) > 10_000 for one in whole if one["role"] == "tool")


async def test_an_attempt_that_is_repeated_writes_nothing_twice(tmp_path: Path) -> None:
    world = World(tmp_path)
    await keep(world, turn(1, "one"), 1)
    path = tmp_path / "exec" / TRANSCRIPT
    path.write_bytes(path.read_bytes() + b'{"torn')
    path.write_bytes(path.read_bytes() + b"\n")
    await keep(world, turn(1, "one") + turn(2, "two"), 2, repeated=True)
    ids = [json.loads(line)["message_id"] for line in path.read_text().splitlines() if "torn" not in line]
    assert ids == ["u1", "t1", "a1", "u2", "t2", "a2"]


async def test_secrets_are_masked_in_the_transcript(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.redactor.add("s3cret-value-long")
    await keep(world, turn(1, "it is s3cret-value-long"), 1)
    assert "s3cret-value-long" not in (tmp_path / "exec" / TRANSCRIPT).read_text()


async def test_a_transcript_that_was_replaced_by_a_link_is_left_alone(tmp_path: Path, caplog: Any) -> None:
    world = World(tmp_path / "all")
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = tmp_path / "all" / "exec" / ".kubiya"
    folder.mkdir(parents=True)
    try:
        (folder / "transcript.jsonl").symlink_to(victim)
    except OSError:
        pytest.skip("links need a privilege on Windows")
    await keep(world, turn(1, "one"), 1)
    assert victim.read_text() == "mine"
    assert world.client.session is not None
    assert "cannot be written" in caplog.text


def test_only_tools_are_shortened() -> None:
    long = "z" * 50_000
    said = {"role": "assistant", "content": long}
    assert shown(said) == said
    called = shown({"role": "tool", "content": long, "tool_input": {"a": long, "b": [long], "c": 3, "d": None}})
    assert len(msgspec.json.encode(called)) < 6_000
    assert called["tool_input"]["c"] == 3
    assert shown(called) == called | {"content": called["content"]} or len(str(shown(called))) <= len(str(called)) + 200


def test_what_the_server_added_comes_along() -> None:
    stored = {"messages": [{"message_id": "s", "role": "system", "timestamp": "2"}, {"message_id": "u", "v": 1}, 7]}
    merged = merge(stored, [{"message_id": "u", "v": 2, "timestamp": "1"}, {"message_id": "a", "timestamp": "3"}])
    assert [one["message_id"] for one in merged] == ["u", "s", "a"]
    assert merged[0]["v"] == 2


@given(st.lists(st.integers(min_value=0, max_value=200_000), max_size=60))
def test_whatever_comes_the_newest_message_is_kept_and_the_rest_fits(sizes: list[int]) -> None:
    messages = [
        {"role": "assistant", "content": "c" * size, "message_id": str(number), "timestamp": f"{number:05}"}
        for number, size in enumerate(sizes)
    ]
    kept = bounded(messages, execution_id="e")
    assert len(msgspec.json.encode(kept)) <= LARGEST_SESSION_BYTES
    assert kept[-1:] == messages[-1:]
