"""A turn that is given up more than once: as an execution is cancelled while its worker leaves."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.claude.test_runtime import MODEL, gone, there
from tests.support.playground import Stage
from worker_core.claude import installation
from worker_core.model.gateway import ModelGateway
from worker_core.sandbox.direct import DirectLauncher
from worker_core.secrets import Secret

pytestmark = there


@pytest.mark.parametrize("times", [1, 2, 4])
async def test_a_turn_that_is_cancelled_again_and_again_leaves_nothing_open(
    stage: Stage, tmp_path: Path, times: int
) -> None:
    from worker_core.claude.session import Listener, Order, run

    heard = asyncio.Event()

    async def call(_who: str, _name: str, _arguments: Mapping[str, Any]) -> tuple[str, bool]:
        return "", False

    async def before() -> None:
        pass

    cli = installation.program()
    assert cli is not None
    order = Order(
        prompt="claude session\n!stream 20000 20",
        system_prompt="",
        model=MODEL,
        tools=(),
        session_id="1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed",
        resumes=False,
        cli=cli,
        workspace=tmp_path,
        state_folder=tmp_path / "state",
        environment={"PATH": "/usr/bin:/bin"},
    )
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "system-prompt.txt").write_text("")
    listener = Listener(
        begins=lambda: None, text=lambda _: heard.set(), ends=lambda: None, call=call, before_model_call=before
    )
    gateway = ModelGateway(base_url=stage.info.llm_url, api_key=Secret(stage.info.llm_api_key))
    turn = asyncio.create_task(run(order, listener, launcher=DirectLauncher(), gateway=gateway))
    async with asyncio.timeout(60):
        await heard.wait()
    for _ in range(times):
        turn.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await turn
    del turn
    gc.collect()  # what was left open says so here
    await gone()
