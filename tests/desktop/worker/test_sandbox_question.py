"""Whoever is shown the question may answer at once, and only once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, cast

import pytest

from desktop.worker.here import Here
from desktop.worker.sandbox_question import SandboxQuestion
from worker_core.sandbox.choice import announced
from worker_core.settings import Settings
from worker_core.snapshot import EngineSnapshot, SandboxView

if TYPE_CHECKING:
    from worker_core.control_socket.server import ControlSocket
    from worker_core.engine.engine import Engine


@pytest.mark.parametrize("allow", [True, False])
def test_an_answer_given_while_the_question_is_being_shown_counts(allow: bool) -> None:
    question, shown = SandboxQuestion(), list[SandboxView]()

    def answers_at_once(view: SandboxView) -> None:
        shown.append(view)
        question.answer(allow=allow)

    asking = announced(question.ask, show=answers_at_once)
    heard: list[bool | None] = []
    thread = threading.Thread(target=lambda: heard.append(asking("There is none.")), daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert heard == [allow]
    assert [(one.name, one.reason) for one in shown] == [("asked", "There is none.")]


def test_the_first_answer_counts_and_an_end_is_none() -> None:
    question = SandboxQuestion()
    question.answer(allow=False)
    question.answer(allow=True)
    question.close()
    assert question.ask("Why.") is False
    ended = SandboxQuestion()
    ended.close()
    ended.answer(allow=True)
    assert ended.ask("Why.") is None


@pytest.mark.parametrize(("shows", "counts"), [("", False), ("bubblewrap", False), ("asked", True)])
async def test_only_an_answer_to_what_is_shown_counts(shows: str, counts: bool) -> None:
    class Shows:
        snapshot = EngineSnapshot(sandbox=SandboxView(name=shows))

    question = SandboxQuestion()
    here = Here(cast("Engine", Shows()), cast("ControlSocket", None), Settings(), question)
    await here.answer_sandbox(allow=True)
    question.close()
    assert question.ask("Why.") is (True if counts else None)
