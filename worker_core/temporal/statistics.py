"""What the Temporal server says of a task queue: backlog, rates, pollers, and when we polled last."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import PollerInfo, TaskQueue, TaskQueueStats
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import QueueStatistics

_LIMIT = timedelta(seconds=5)
LONGEST_POLL = timedelta(seconds=90)
"""A long poll takes 60 to 70 s."""

_SILENCE = frozenset({RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED})
"""What the SDK raises where nobody answers: refused, cut off, or too late. All else is an answer."""


class TemporalSilent(Exception):
    """The server did not answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueDescription:
    """`polled_at` is the server's clock for our own pollers: compare it with itself, never with local time."""

    statistics: QueueStatistics
    polled_at: datetime | None
    shares_home: bool = False
    """Another worker of this machine polls its home queue."""


async def describe(client: Client, task_queue: str, *, home_queue: str, identity: str) -> QueueDescription | None:
    """The queue's statistics, or None where the server may not or cannot tell (permission, old server).

    Args:
        client: connected.
        task_queue: that any worker may serve.
        home_queue: of this machine.
        identity: of our own pollers.

    Raises:
        TemporalSilent: it does not answer.
    """
    backlog, age, added, dispatched = 0, 0.0, 0.0, 0.0
    pollers: set[str] = set()
    polled_at: datetime | None = None
    try:
        for kind in (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY):
            answer = await _asked(client, task_queue, kind)
            stats: TaskQueueStats = answer.stats
            backlog += stats.approximate_backlog_count
            age = max(age, stats.approximate_backlog_age.ToTimedelta().total_seconds())
            added += stats.tasks_add_rate
            dispatched += stats.tasks_dispatch_rate
            for poller in answer.pollers:
                pollers.add(poller.identity)
                if poller.identity == identity:
                    seen = poller.last_access_time.ToDatetime(tzinfo=UTC)
                    polled_at = seen if polled_at is None else max(polled_at, seen)
        home = await _asked(client, home_queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)
    except RPCError as error:
        if error.status in _SILENCE:
            raise TemporalSilent(error.status.name) from error
        return None
    return QueueDescription(
        statistics=QueueStatistics(
            backlog=backlog,
            backlog_age_seconds=age,
            added_per_second=added,
            dispatched_per_second=dispatched,
            pollers=len(pollers),
            home_backlog=home.stats.approximate_backlog_count,
            asked_at=datetime.now(UTC),
        ),
        polled_at=polled_at,
        shares_home=_shared(home.pollers, identity=identity),
    )


def _shared(pollers: Iterable[PollerInfo], *, identity: str) -> bool:
    """The server knows pollers for minutes after they have gone: who has not polled for long has."""
    seen = {one.identity: one.last_access_time.ToDatetime(tzinfo=UTC) for one in pollers}
    newest = max(seen.values(), default=None)
    return newest is not None and any(one != identity and newest - at < LONGEST_POLL for one, at in seen.items())


async def _asked(client: Client, task_queue: str, kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=task_queue),
            task_queue_type=kind,
            report_stats=True,
        ),
        timeout=_LIMIT,
    )
