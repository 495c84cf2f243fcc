from __future__ import annotations

from worker_core.events import Event, EventBus, ExecutionFinished


def finished(number: int) -> ExecutionFinished:
    return ExecutionFinished(execution_id=str(number), status="completed")


async def test_a_slow_subscriber_loses_the_oldest_and_knows_how_many() -> None:
    bus = EventBus()
    with bus.subscribe(size=3) as subscription:
        for number in range(5):
            bus.publish(finished(number))
        assert subscription.dropped == 2
        kept = [await subscription.get() for _ in range(3)]
    assert [event.execution_id for event in kept if isinstance(event, ExecutionFinished)] == ["2", "3", "4"]


async def test_a_closed_subscription_ends_its_reader_after_what_waits() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    bus.publish(finished(1))
    subscription.close()
    bus.publish(finished(2))
    assert [event async for event in subscription] != []
    assert subscription.dropped == 0


def test_a_failing_listener_stops_neither_the_publisher_nor_the_others() -> None:
    bus = EventBus()
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise RuntimeError("view is broken")

    bus.listen(broken)
    stop = bus.listen(seen.append)
    bus.publish(finished(1))
    stop()
    bus.publish(finished(2))
    assert len(seen) == 1
