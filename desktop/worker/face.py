"""What windows and tray see of the worker, and how they steer it: the same face for an engine in this process and for
a worker service that the tray attached to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, Unpack, runtime_checkable

from worker_core.events import EventBus
from worker_core.snapshot import AnswerParts, EngineSnapshot, StopMode, WholeQuestion

if TYPE_CHECKING:
    from worker_core.control_plane.models import Agent, ExecutionRecord, Queue, QueueWorker
    from worker_core.machine.gpu_use import GpuUse
    from worker_core.settings import Reloaded


@runtime_checkable
class WorkerFace(Protocol):
    """Commands return when they were taken, not when they had their effect: that is told by the next snapshot.

    All raise KubiyaError, whose text is a sentence for the user, where a command cannot be carried out.
    """

    events: EventBus
    """Everything that the engine publishes, in order; `SnapshotReplaced` at each change."""

    @property
    def snapshot(self) -> EngineSnapshot:
        """The latest."""

    @property
    def attached(self) -> bool:
        """True: a service of this user serves this machine; the tray shows and steers that one."""

    @property
    def paused_until(self) -> datetime | None:
        """When a timed pause ends by itself; None where there is none."""

    async def start(self) -> None:
        """Attach to a running service, else start an engine in this process. Does nothing when there is one."""

    async def pause(self, *, reason: str, until: datetime | None = None) -> None:
        """Take nothing new. With `until` (aware), it goes on by itself then."""

    async def resume(self) -> None: ...

    async def stop(self, mode: StopMode) -> None: ...

    async def reload(self) -> Reloaded | None:
        """Let a worker that runs take up the settings as they are now; None where none runs."""

    async def cancel_execution(self, execution_id: str) -> None: ...

    async def pause_execution(self, execution_id: str) -> None: ...

    async def resume_execution(self, execution_id: str) -> None: ...

    async def send_message(self, execution_id: str, text: str) -> None: ...

    async def list_agents(self) -> list[Agent]:
        """Those that the key may use."""

    async def begin_execution(self, *, agent_id: str, queue_id: str, prompt: str, folder: str = "") -> str:
        """Give an agent something to do; the execution's id. `folder`: absolute, which it asks to work in."""

    async def whole_question(self, approval_id: str) -> WholeQuestion:
        """Everything that a call which waits would do, where the snapshot leaves something out."""

    async def answer_approval(self, approval_id: str, **answer: Unpack[AnswerParts]) -> None: ...

    async def answer_sandbox(self, *, allow: bool) -> None:
        """Whether tools may run without a sandbox, where the snapshot's is `asked`. The answer is kept."""

    async def get_execution(self, execution_id: str) -> ExecutionRecord:
        """What the control plane remembers of an execution."""

    async def load_session(self, execution_id: str) -> dict[str, Any] | None:
        """Its stored conversation; None where there is none."""

    async def queue_executions(self, queue_ids: Sequence[str], *, limit: int) -> dict[str, list[ExecutionRecord]]:
        """The newest executions of each of these queues, `limit` of each at most. A queue that cannot be read is left
        out; raises KubiyaError where none can.
        """

    async def gpus(self) -> GpuUse | None:
        """How busy this machine's GPUs are, and with which executions, asked now; it may take seconds. None: nothing is
        asked, since no worker runs, `gpu` is off, or there is no driver.
        """

    async def list_queues(self) -> list[Queue]:
        """Those that the key may see."""

    async def queue_workers(self, queue_ids: Sequence[str]) -> dict[str, list[QueueWorker]]:
        """Who serves these queues now."""
