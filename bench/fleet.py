"""A fleet that is simulated: what many workers ask of a control plane and of Temporal, and what breaks first.

python -m bench.fleet [--workers N] [--queues N] [--frontends N] [--heartbeat SECONDS] [--json]

The times are the product's own (its back-off, its spread of heartbeats, its limits); what one idle worker asks of
Temporal was counted on a real one (`ONE_WORKER`). Nothing is sent anywhere.
"""

from __future__ import annotations

import argparse
import heapq
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Final

from bench.plot import plot
from worker_core.control_plane.session import DEFAULT_INTERVAL, FULL_EVERY
from worker_core.network.backoff import Backoff, spread
from worker_core.temporal.pollers import FIRST_STEP_POLLS, HOME_POLLS, WORKFLOW_POLLS

LONG_POLL_SECONDS: Final = 60
"""After which Temporal answers a poll that found nothing (`matching.longPollExpirationInterval`)."""

REGISTRATION_CALLS: Final = 2
"""Of a worker, by queue: `start`, and the first full heartbeat."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polls:
    """Polls of one idle worker that are under way at the same time, by queue it serves."""

    workflow: int
    activity: int


ONE_WORKER: Final = Polls(workflow=WORKFLOW_POLLS.maximum, activity=FIRST_STEP_POLLS.maximum + HOME_POLLS.maximum)
"""`temporal_num_pollers` on the `/metrics` of an idle worker says the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Something of Temporal's that a fleet may run into."""

    name: str
    most: float
    source: str
    needs: Callable[[Fleet], float]

    def reached_at(self, fleet: Fleet) -> int:
        """The number of workers from which on it is passed; all else as in `fleet`."""
        return int(self.most * fleet.workers / self.needs(fleet))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """Workers that are all alike."""

    workers: int = 10_000
    queues: int = 1
    frontends: int = 4
    """Of Temporal; connections are spread evenly."""

    heartbeat: timedelta = DEFAULT_INTERVAL

    @property
    def polls_per_second(self) -> float:
        """Of all workers while nothing happens."""
        return self.workers * self.queues * (ONE_WORKER.workflow + ONE_WORKER.activity) / LONG_POLL_SECONDS


LIMITS: Final = (
    Limit(
        name="concurrent activity polls of a namespace at one frontend",
        most=1200,
        source="Temporal's default of frontend.namespaceCount",
        needs=lambda fleet: fleet.workers * fleet.queues * ONE_WORKER.activity / fleet.frontends,
    ),
    Limit(
        name="concurrent workflow polls of a namespace at one frontend",
        most=1200,
        source="Temporal's default of frontend.namespaceCount",
        needs=lambda fleet: fleet.workers * fleet.queues * ONE_WORKER.workflow / fleet.frontends,
    ),
    Limit(
        name="requests a second of a namespace at one frontend",
        most=2400,
        source="Temporal's default of frontend.namespaceRPS",
        needs=lambda fleet: fleet.polls_per_second / fleet.frontends,
    ),
    Limit(
        name="requests a second of a namespace in Temporal Cloud",
        most=2000,
        source="Temporal Cloud's documentation, system limits",
        needs=lambda fleet: fleet.polls_per_second,
    ),
)


def heartbeats(fleet: Fleet, *, seconds: int, began_within: float, seed: int = 1, in_step: bool = False) -> list[int]:
    """Requests of the control plane by second, from the moment at which the workers begin.

    Args:
        fleet: the workers.
        seconds: to look at.
        began_within: seconds over which their beginnings are spread.
        seed: of the random numbers.
        in_step: without the spread of heartbeats, to compare with.
    """
    chance = random.Random(seed)
    counted = [0] * seconds

    def pause(interval: timedelta) -> float:
        return (interval if in_step else spread(interval, uniform=chance.uniform)).total_seconds()

    for _ in range(fleet.workers * fleet.queues):
        at = chance.uniform(0, began_within)
        _count(counted, at, REGISTRATION_CALLS)
        full_at = at + pause(FULL_EVERY)
        while True:
            at += pause(fleet.heartbeat)
            if at >= seconds:
                break
            _count(counted, at, 1)
            if at >= full_at:  # with a look at what the queue has set
                _count(counted, at, 1)
                full_at = at + pause(FULL_EVERY)
    return counted


def come_back(fleet: Fleet, *, away: int, after: int, seed: int = 1) -> list[int]:
    """Attempts to register by second, while the control plane is away and `after` seconds longer.

    All workers begin to try at the same moment, as after a deployment of it.
    """
    chance = random.Random(seed)
    counted = [0] * (away + after)
    queue: list[tuple[float, int]] = [(0.0, number) for number in range(fleet.workers * fleet.queues)]
    tries = [Backoff(uniform=chance.uniform) for _ in queue]
    while queue:
        at, number = heapq.heappop(queue)
        _count(counted, at, 1)
        if at < away and (then := at + tries[number].next_delay().total_seconds()) < len(counted):
            heapq.heappush(queue, (then, number))
    return counted


def _count(counted: list[int], at: float, times: int) -> None:
    if at < len(counted):
        counted[int(at)] += times


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A limit beside what a fleet needs of it."""

    name: str
    needs: float
    most: float
    breaks_at_workers: int
    source: str


def rows(fleet: Fleet) -> list[Row]:
    """What breaks first stands first."""
    made = [
        Row(
            name=one.name, needs=one.needs(fleet), most=one.most, breaks_at_workers=one.reached_at(fleet),
            source=one.source,
        )
        for one in LIMITS
    ]  # fmt: skip
    return sorted(made, key=lambda row: row.breaks_at_workers)


def report(fleet: Fleet) -> Iterator[str]:
    """The whole page, line by line."""
    yield (
        f"{fleet.workers} workers, {fleet.queues} queue{'s' * (fleet.queues != 1)} each, {fleet.frontends} frontends "
        f"of Temporal, a heartbeat each {fleet.heartbeat.total_seconds():g} s"
    )
    yield ""
    yield "Temporal, while nothing happens:"
    for row in rows(fleet):
        verdict = "BREAKS" if row.needs > row.most else "holds"
        yield (
            f"  {verdict:6}  {row.needs:8.0f} of {row.most:5.0f}  {row.name}: to {row.breaks_at_workers} workers "
            f"({row.source})"
        )
    yield ""
    yield "Requests of the control plane by second:"
    for name, counted in _courses(fleet):
        yield f"  {name:46} at most {max(counted):6}, {sum(counted) / len(counted):6.0f} in the mean  {plot(counted)}"


def _courses(fleet: Fleet) -> list[tuple[str, list[int]]]:
    return [
        ("all begin within a minute, 10 min", heartbeats(fleet, seconds=600, began_within=60)),
        ("all begin within a second, 5 min, from the 2nd", heartbeats(fleet, seconds=300, began_within=1)[31:]),
        ("the same without the spread", heartbeats(fleet, seconds=300, began_within=1, in_step=True)[31:]),
        ("away for 5 min, and 2 min more, from the 3rd", come_back(fleet, away=300, after=120)[120:]),
    ]


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.fleet", description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=10_000, help="(default: 10000)")
    parser.add_argument("--queues", type=int, default=1, help="that each worker serves (default: 1)")
    parser.add_argument("--frontends", type=int, default=4, help="of the Temporal cluster (default: 4)")
    parser.add_argument("--heartbeat", type=float, default=30.0, help="seconds between two (default: 30)")
    parser.add_argument("--json", action="store_true", help="print the table of limits and the courses as JSON")
    options = parser.parse_args(given)
    if min(options.workers, options.queues, options.frontends, options.heartbeat) <= 0:
        parser.error("all numbers must be more than 0")
    fleet = Fleet(
        workers=options.workers,
        queues=options.queues,
        frontends=options.frontends,
        heartbeat=timedelta(seconds=options.heartbeat),
    )
    if options.json:
        print(json.dumps({"limits": [asdict(row) for row in rows(fleet)], "courses": dict(_courses(fleet))}))
    else:
        print("\n".join(report(fleet)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
