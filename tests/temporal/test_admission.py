"""The gate: places are never given twice, every queue is looked at, and priorities hold."""

from __future__ import annotations

import asyncio
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from worker_core.temporal.admission import PRECEDENCE_SECONDS, AdmissionGate, QueueGate


class Worker:
    """Places, and a clock that the test moves."""

    def __init__(self, *, places: int) -> None:
        self.places = places
        self.running: Counter[str] = Counter()
        self.seconds = 0.0
        self.gate = AdmissionGate(limit=lambda: self.places, running=lambda: self.running, now=lambda: self.seconds)

    def poll(self, queue: QueueGate) -> bool:
        if not queue.admits:
            return False
        queue.polls += 1
        return True

    def bring(self, queue: QueueGate) -> bool:
        """A poll brings an execution; whether it began."""
        queue.poll_ended(brought=True)
        if not queue.takes:
            return False
        self.running[queue.queue_id] += 1
        return True

    def end(self, queue: QueueGate) -> None:
        self.running[queue.queue_id] -= 1
        self.gate.look_again()


def test_an_idle_queue_keeps_no_other_from_the_last_place() -> None:
    worker = Worker(places=1)
    idle, busy = worker.gate.of("idle"), worker.gate.of("busy")
    assert worker.poll(idle)
    assert not worker.poll(idle)
    assert worker.poll(busy)
    assert worker.bring(busy)
    assert not worker.poll(busy)
    assert not worker.bring(idle), "it came too late, and goes back"
    worker.end(busy)
    assert worker.poll(idle)


def test_a_closed_gate_takes_nothing() -> None:
    worker = Worker(places=2)
    queue = worker.gate.of("one")
    assert worker.poll(queue)
    worker.gate.close()
    assert not worker.bring(queue)
    assert not worker.poll(queue)
    worker.gate.open()
    assert worker.poll(queue)


def test_a_queue_has_no_more_than_its_limit() -> None:
    worker = Worker(places=10)
    narrow, wide = worker.gate.of("narrow", limit=2), worker.gate.of("wide")
    assert worker.poll(narrow)
    assert worker.poll(narrow)
    assert not worker.poll(narrow)
    assert worker.bring(narrow)
    assert worker.bring(narrow)
    assert not worker.poll(narrow)
    assert worker.poll(wide)
    worker.end(narrow)
    assert worker.poll(narrow)


def test_the_lower_waits_while_the_higher_brings_work() -> None:
    worker = Worker(places=2)
    low, middle, high = (worker.gate.of(name, priority=priority) for name, priority in (("l", -1), ("m", 0), ("h", 5)))
    assert not worker.poll(low), "the higher ones are looked at first"
    assert worker.poll(high)
    worker.seconds = PRECEDENCE_SECONDS
    assert not worker.poll(low)
    assert worker.poll(middle)
    worker.seconds = 2 * PRECEDENCE_SECONDS
    assert worker.poll(low)
    assert worker.bring(high)
    assert not worker.poll(middle)
    assert worker.poll(high)
    assert worker.bring(high)
    worker.seconds += 100
    assert not worker.poll(high)
    worker.end(high)
    assert worker.poll(high)
    low.poll_ended(brought=False)
    assert not worker.poll(low), "a place became free just now: the higher may want it"
    worker.seconds += 2 * PRECEDENCE_SECONDS
    assert worker.poll(low)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.integers(1, 3), st.integers(-1, 1)), min_size=1, max_size=5),
    st.lists(st.tuples(st.sampled_from(["poll", "bring", "empty", "end", "later"]), st.integers(0, 4)), max_size=80),
)
def test_places_and_limits_hold_and_no_queue_is_forgotten(
    places: int, queues: list[tuple[int, int]], steps: list[tuple[str, int]]
) -> None:
    worker = Worker(places=places)
    gates = [
        worker.gate.of(str(number), limit=limit, priority=priority) for number, (limit, priority) in enumerate(queues)
    ]
    for what, number in steps:
        gate = gates[number % len(gates)]
        if what == "poll":
            worker.poll(gate)
        elif what == "later":
            worker.seconds += 0.7
        elif what == "end" and worker.running[gate.queue_id]:
            worker.end(gate)
        elif what in {"bring", "empty"} and gate.polls:
            if what == "bring":
                worker.bring(gate)
            else:
                gate.poll_ended(brought=False)
        assert worker.running.total() <= places
        assert all(worker.running[one.queue_id] + one.polls >= 0 for one in gates)
        assert all(worker.running[one.queue_id] <= one.limit for one in gates)
    worker.seconds += 10 * PRECEDENCE_SECONDS
    if worker.running.total() < places:
        for gate in gates:
            gate.admits  # noqa: B018 -- it sees that there is a place
        worker.seconds += 10 * PRECEDENCE_SECONDS
        for gate in gates:
            if worker.running[gate.queue_id] + gate.polls < gate.limit:
                assert gate.polls or gate.admits


async def test_who_waits_for_precedence_is_woken_by_the_clock() -> None:
    gate = AdmissionGate(limit=lambda: 1, running=dict)
    low = gate.of("low", priority=0)
    gate.of("high", priority=1)
    async with asyncio.timeout(30):
        await low.wait()
    assert low.polls == 1


async def test_who_waits_for_a_place_is_woken_by_it() -> None:
    running = {"one": 1}
    gate = AdmissionGate(limit=lambda: 1, running=lambda: running)
    queue = gate.of("two")
    waiting = asyncio.create_task(queue.wait())
    await asyncio.sleep(0)
    assert not waiting.done()
    running.clear()
    gate.look_again()
    async with asyncio.timeout(30):
        await waiting
    assert queue.polls == 1
