"""What leaves for the control plane is seen by this process's own views too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.events import EventBus, EventDeliveryResumed, ExecutionEventPublished


class Server:
    async def publish_event(self, execution_id: str, event: bytes) -> None:
        pass


def outbox(folder: Path, bus: EventBus) -> Outbox:
    return Outbox(client=Server(), folder=folder, mask=lambda text: text.replace("s3cret", "***"), bus=bus)


async def test_views_see_events_masked_in_order_with_the_text_that_is_new(tmp_path: Path) -> None:
    bus = EventBus()
    seen: list[ExecutionEventPublished] = []
    bus.listen(seen.append, only=(ExecutionEventPublished,))  # type: ignore[arg-type]
    office = outbox(tmp_path, bus)
    lane = office.lane("exec")
    for piece in ("Three ", "little ", "pods"):
        lane.chunk("m1", piece)
    lane.publish("tool_started", {"tool_name": "shell", "tool_arguments": {"command": "echo s3cret"}})
    await office.close(limit=timedelta(seconds=5))
    assert "".join(event.payload["content"] for event in seen if event.type == "message_chunk") == "Three little pods"
    assert seen[-1].payload["tool_arguments"] == {"command": "echo ***"}
    assert [event.sequence for event in seen] == sorted(event.sequence for event in seen)


async def test_where_no_view_listens_nothing_is_made(tmp_path: Path) -> None:
    bus = EventBus()
    bus.listen(lambda event: None, only=(EventDeliveryResumed,))
    assert not bus.hears(ExecutionEventPublished)
    stop = bus.listen(lambda event: None)
    assert bus.hears(ExecutionEventPublished)
    stop()
    assert not bus.hears(ExecutionEventPublished)
