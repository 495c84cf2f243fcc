"""Half characters and endless brackets from a model, in whole executions: they end, and so does the worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import strange_data
from tests.support.engine import running_engine
from tests.support.playground import Stage
from worker_core.playground import scripted
from worker_core.playground.script import ScriptedStep


@pytest.fixture
def halving(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model sends each 😀 as two halves in two chunks."""
    deltas = scripted._deltas

    def halved(step: ScriptedStep) -> list[dict[str, Any]]:
        pieces = []
        for delta in deltas(step):
            before, smile, after = str(delta.get("content") or "").partition("😀")
            pieces += [{"content": f"{before}\ud83d"}, {"content": f"\ude00{after}"}] if smile else [delta]
        return pieces

    monkeypatch.setattr(scripted, "_deltas", halved)
    monkeypatch.setattr(scripted, "_data", lambda value: b"data: " + json.dumps(value).encode() + b"\n\n")


@pytest.mark.usefixtures("halving")
async def test_a_character_in_two_chunks_is_one_character(stage: Stage, tmp_path: Path) -> None:
    async with running_engine(stage, tmp_path) as rig:
        execution_id = await rig.execute("halves\n!say smile 😀 here")
        record = await rig.reach(execution_id, "waiting_for_input")
        assert record.response == "smile 😀 here"
        assert await rig.said(execution_id) == "smile 😀 here"
        session = await rig.client.load_session(execution_id)
        assert session is not None
        assert session["messages"][-1]["content"] == "smile 😀 here"


@pytest.mark.parametrize(
    ("arguments", "read"),
    [
        ('{"command": "echo \\ud83d"}', "\ufffd"),
        ('{"command": "echo \\ud83d\\ude00"}', "😀"),
        ('{"command": "echo hi", "deep": ' + strange_data.nested(1500) + "}", "nest more than 100 levels deep"),
        ('{"command": "echo hi", "' + "\\udcff" * 3 + '": 1}', "The arguments are not right"),
    ],
    ids=["a half", "two halves", "3000 brackets", "halves as a name"],
)
async def test_the_model_reads_what_became_of_such_a_call(
    arguments: str, read: str, stage: Stage, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with running_engine(stage, tmp_path) as rig:
        prompt = f"strange {request.node.name}\n!tool shell {arguments}\n!say over"
        execution_id = await rig.execute(prompt)
        record = await rig.reach(execution_id, "waiting_for_input", "failed")
        assert record.response == "over"
        [done] = await rig.sent(execution_id, "tool_completed")
        assert read in f"{done['data']['tool_output']}{done['data']['tool_error']}"
        assert rig.snapshot.outbox.dropped == 0
        await rig.client.mark_done(execution_id)
        await rig.reach(execution_id, "completed")
        await rig.until(lambda: not rig.snapshot.executions)
