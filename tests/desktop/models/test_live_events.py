"""What the outbox tells the bus becomes the conversation: the real parts, from the lane to the store."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from desktop.models.conversation_items import Message, Notice, ToolCall
from desktop.models.executions import ExecutionStore
from worker_core.agents.activities.failures import error_event
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.events import EventBus


class Server:
    async def publish_event(self, execution_id: str, event: bytes) -> None:
        pass


async def test_a_turn_as_the_worker_publishes_it(tmp_path: Path) -> None:
    bus, store = EventBus(), ExecutionStore()
    bus.listen(lambda event: store.apply([event]))
    outbox = Outbox(client=Server(), folder=tmp_path, mask=lambda text: text.replace("s3cret", "***"), bus=bus)
    lane = outbox.lane("e")
    lane.publish("metadata", {"execution_type": "AGENT"})
    lane.publish("message", {"role": "user", "content": "Count the pods", "message_id": "e_user_1"})
    for piece in ("I will ", "look", "."):
        lane.chunk("e_assistant_1", piece)
    call = {"tool_name": "shell", "tool_execution_id": "c1"}
    lane.publish("tool_started", {**call, "tool_arguments": {"command": "echo s3cret"}, "message": "Running shell"})
    lane.publish("tool_completed", {**call, "status": "success", "tool_output": "3", "duration_ms": 40})
    lane.publish("error", error_event("e", "The model is busy.", category="unknown", severity="warning", stage="x"))
    await outbox.close(limit=timedelta(seconds=5))
    one = store.get("e")
    assert one is not None
    user, agent, tool, notice = one.conversation.items
    assert isinstance(user, Message)
    assert isinstance(agent, Message)
    assert isinstance(tool, ToolCall)
    assert isinstance(notice, Notice)
    assert (one.title, agent.text, tool.summary) == ("Count the pods", "I will look.", "echo ***")
    assert (tool.output, tool.duration_seconds, notice.severity) == ("3", 0.04, "warning")
    assert "The model is busy." in notice.text
