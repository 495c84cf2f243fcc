"""What is measured of a worker: a pure function of its snapshot and counts. Words are codes, all else is numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from worker_core.basics.quick_dataclass import dataclass
from worker_core.snapshot import EngineSnapshot, EngineState, QueueView
from worker_core.status_server.counts import Counts
from worker_core.status_server.families import Family, families


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessView:
    """This process, by the names that Prometheus' own clients give these metrics."""

    cpu_seconds: float
    resident_bytes: int
    threads: int
    started_at: float
    """Seconds since the epoch."""

    tasks: int = 0
    """Of the event loop."""

    open_fds: int | None = None
    """None where the system does not count them."""


class _Metric(NamedTuple):
    name: str
    help: str
    value: float | None
    labels: Mapping[str, str] = {}


def measured(
    snapshot: EngineSnapshot,
    *,
    clock: float,
    ready: bool,
    silent_seconds: float,
    counts: Counts,
    process: ProcessView,
) -> list[Family]:
    """Everything of ours.

    Args:
        snapshot: the engine's.
        clock: `time.monotonic()` now.
        ready: what `/readyz` says.
        silent_seconds: for which the event loop has not answered, at least.
        counts: since the worker began.
        process: this one.
    """
    return families(
        (
            *_worker(snapshot, ready=ready, silent_seconds=silent_seconds),
            *_work(snapshot, counts),
            *_queues(snapshot.queues, counts, clock=clock),
            *_sdk(snapshot),
            *_process(process),
        )
    )


def _worker(snapshot: EngineSnapshot, *, ready: bool, silent_seconds: float) -> Iterator[_Metric]:
    prefix = "kubiya_worker"
    yield _Metric(f"{prefix}_info", "The worker's version.", 1, {"version": snapshot.version})
    yield _Metric(f"{prefix}_ready", "Whether /readyz says so.", ready)
    for state in EngineState:
        yield _Metric(
            f"{prefix}_state", "1 for the state of the worker.", state is snapshot.state, {"state": state.value}
        )
    yield _Metric(f"{prefix}_event_loop_silent_seconds", "How long the event loop has not answered.", silent_seconds)
    yield _Metric(
        f"{prefix}_sandbox_info",
        "What isolates tools; empty until it is looked for.",
        1,
        {"sandbox": snapshot.sandbox.name},
    )


def _work(snapshot: EngineSnapshot, counts: Counts) -> Iterator[_Metric]:
    prefix = "kubiya_worker"
    yield _Metric(f"{prefix}_executions_running", "Executions in the middle of a turn.", snapshot.tasks_in_flight)
    yield _Metric(f"{prefix}_executions_known", "Executions that live here, running or not.", len(snapshot.executions))
    yield _Metric(f"{prefix}_executions_limit", "How many may be in the middle of a turn.", snapshot.executions_limit)
    waiting = Counter(one.status for one in snapshot.executions)
    for whom in ("input", "approval"):
        yield _Metric(
            f"{prefix}_executions_waiting",
            "Those of them that wait for their user, in the last quarter of an hour.",
            waiting[f"waiting_for_{whom}"],
            {"for": whom},
        )
    for name, said, by in (
        ("executions_finished", "Executions that ended here.", counts.finished),
        ("tool_calls", "Tool calls that ended.", counts.tools),
        ("model_calls", "Model calls that ended, with all their tries.", counts.models),
    ):
        for how, count in by.items():
            yield _Metric(f"{prefix}_{name}_total", said, count, {"outcome": how})
    for kind, count in counts.tokens.items():
        yield _Metric(f"{prefix}_model_tokens_total", "Tokens; input has the cached in it.", count, {"kind": kind})
    yield _Metric(f"{prefix}_model_cost_dollars_total", "As far as gateways say.", counts.cost_dollars)
    yield _Metric(f"{prefix}_approvals_waiting", "Tool calls that wait for an answer.", len(snapshot.approvals))
    outbox = snapshot.outbox
    yield _Metric(f"{prefix}_outbox_pending", "Events on their way to the control plane.", outbox.pending)
    yield _Metric(f"{prefix}_outbox_spooled", "Events kept on disk meanwhile.", outbox.spooled)
    yield _Metric(f"{prefix}_outbox_delivered_total", "Events that arrived.", outbox.delivered)
    yield _Metric(f"{prefix}_outbox_dropped_total", "Events that were given up.", outbox.dropped)


def _queues(queues: tuple[QueueView, ...], counts: Counts, *, clock: float) -> Iterator[_Metric]:
    def each(name: str, said: str, values: Mapping[str, float | None]) -> Iterator[_Metric]:
        for queue_id, value in values.items():
            yield _Metric(f"kubiya_worker_queue_{name}", said, value, {"queue": queue_id})

    def age(moment: float | None) -> float | None:
        return None if moment is None else clock - moment

    counted = {queue.queue_id: queue.statistics for queue in queues if queue.statistics is not None}
    yield from each("polling", "Whether it is polled.", {one.queue_id: one.polling for one in queues})
    yield from each(
        "credentials_refused",
        "Whether the control plane or Temporal refuses the key.",
        {one.queue_id: one.credentials_refused for one in queues},
    )
    yield from each(
        "reconnects_total",
        "Connections made anew.",
        {one.queue_id: counts.reconnects[one.queue_id] for one in queues},
    )
    yield from each(
        "heartbeat_age_seconds",
        "Since the control plane took a heartbeat.",
        {one.queue_id: age(one.last_heartbeat_clock) for one in queues},
    )
    yield from each(
        "poll_age_seconds",
        "Since polls were seen to be answered.",
        {one.queue_id: age(one.last_poll_clock) for one in queues},
    )
    yield from each(
        "backlog", "Tasks that wait for any worker, by Temporal.", {name: one.backlog for name, one in counted.items()}
    )
    yield from each(
        "backlog_age_seconds",
        "How long the oldest of them waits.",
        {name: one.backlog_age_seconds for name, one in counted.items()},
    )
    yield from each(
        "home_backlog", "Calls that wait for this machine.", {name: one.home_backlog for name, one in counted.items()}
    )
    yield from each("pollers", "Pollers of all workers.", {name: one.pollers for name, one in counted.items()})


def _sdk(snapshot: EngineSnapshot) -> Iterator[_Metric]:
    prefix, sdk = "kubiya_worker_temporal", snapshot.sdk
    yield _Metric(f"{prefix}_polls_total", "Long polls answered.", sdk.polls)
    yield _Metric(f"{prefix}_polls_empty_total", "Those of them that brought no task.", sdk.polls_empty)
    yield _Metric(f"{prefix}_pollers", "Pollers of this worker.", sdk.pollers)
    yield _Metric(f"{prefix}_slots_used", "Slots in use, of all kinds of tasks.", sdk.slots_used)
    yield _Metric(f"{prefix}_slots_available", "Slots that are free.", sdk.slots_available)
    yield _Metric(f"{prefix}_cached_workflows", "Workflows kept in memory.", sdk.cached_workflows)
    yield _Metric(f"{prefix}_requests_total", "Requests to Temporal.", sdk.requests)
    yield _Metric(f"{prefix}_request_failures_total", "Those of them that failed.", sdk.failures)


def _process(process: ProcessView) -> Iterator[_Metric]:
    yield _Metric("kubiya_worker_event_loop_tasks", "Tasks of the event loop.", process.tasks)
    yield _Metric("process_cpu_seconds_total", "Processor time of this process.", process.cpu_seconds)
    yield _Metric("process_resident_memory_bytes", "Memory of this process.", process.resident_bytes)
    yield _Metric("process_threads", "Threads of this process.", process.threads)
    yield _Metric("process_open_fds", "Its open file descriptors.", process.open_fds)
    yield _Metric("process_start_time_seconds", "When it began, since the epoch.", process.started_at)
