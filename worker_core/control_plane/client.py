"""The control plane's API as typed methods. Every call has a limit; every failure is a sentence (errors.py)."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from worker_core.basics.clocks import steady
from worker_core.basics.sentences import worded
from worker_core.control_plane import errors, models, wire
from worker_core.control_plane.caller import Caller
from worker_core.control_plane.connections import HttpAnswer
from worker_core.network.urls import segment
from worker_core.secrets import Secret

if TYPE_CHECKING:
    from worker_core.control_plane.relay import Carry, RelayedCall
    from worker_core.network.sse import ServerSentEvent
    from worker_core.settings import Settings

EntityKind = Literal["agents", "teams"]

START_LIMIT_SECONDS = 30.0
"""The server may ask others for Temporal credentials before it answers."""

RECORD_TURN_LIMIT_SECONDS = 60.0
"""The server asks its own model for the next status, at most 5 s by its own account (8.6)."""


ENFORCE_LIMIT_SECONDS = 2.0
"""A tool call waits for it."""


class ControlPlaneClient:
    """One control plane with one API key. Belongs to one event loop; close it with `aclose()`.

    All methods raise a `ControlPlaneError`: `Unreachable`, `ServerTrouble` and `RateLimited` are worth another try.
    Registration, heartbeats and the disconnect have connections of their own, so that no other traffic starves them.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: Secret,
        ca_file: Path | None = None,
        allow_http: bool = False,
        clock: Callable[[], float] = time.monotonic,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = steady,
    ) -> None:
        """Nothing is opened before the first call.

        Args:
            base_url: without `/api/v1`, with or without a final slash.
            api_key: sent as Bearer token (protocol, 1.1).
            ca_file: PEM file of additional certificate authorities.
            allow_http: the setting: the key may go to other machines unencrypted.
            clock: monotonic seconds.
            now: wall clock, seconds since the epoch; compared with the server's.
            steady: seconds that nobody sets, and that go on in sleep.

        Raises:
            ConfigurationError: the key would go out unencrypted.
        """
        self._caller = Caller(
            base_url=base_url,
            api_key=api_key,
            ca_file=ca_file,
            allow_http=allow_http,
            clock=clock,
            now=now,
            steady=steady,
        )

    @classmethod
    def of(cls, settings: Settings, api_key: Secret) -> ControlPlaneClient:
        """The one that the settings name.

        Raises:
            ConfigurationError: the key would go out unencrypted.
        """
        return cls(
            base_url=settings.control_plane_url,
            api_key=api_key,
            ca_file=settings.ca_file,
            allow_http=settings.allow_http,
        )

    @classmethod
    def by_way_of(cls, worker: Carry, *, base_url: str) -> ControlPlaneClient:
        """One without a key: a worker that has one makes its calls, those that `relay.py` lists."""
        from worker_core.control_plane.relay import RelayCaller

        made = cls(base_url=base_url, api_key=Secret(""), allow_http=True)
        made._caller = RelayCaller(base_url=base_url, carry=worker)
        return made

    async def pass_on(self, call: RelayedCall) -> HttpAnswer:
        """Make a call for another program of this user.

        Raises:
            Rejected: it is none of those that are made for others.
            ControlPlaneError: no answer came.
        """
        from worker_core.control_plane.relay import pass_on

        return await pass_on(call, caller=self._caller)

    @property
    def base_url(self) -> str:
        """Without a final slash."""
        return self._caller.base_url

    @property
    def server(self) -> str:
        """Host and port, for sentences."""
        return self._caller.server

    @property
    def clock_skew(self) -> timedelta | None:
        """Server time minus local time at the last measurement, to about a second; None before the first answer."""
        return self._caller.clock_skew

    @property
    def server_time(self) -> datetime | None:
        """What the server's clock shows now, whoever has set this machine's meanwhile; None before the first answer."""
        return self._caller.server_time

    def on_its_clock(self, at: datetime) -> datetime:
        """The same moment as servers call it: where a workflow waits until then, this machine may be a day off."""
        return at + (self.clock_skew or timedelta(0))

    def reset_connections(self) -> None:
        """Begin anew on fresh connections: after waking up, or when the network changed."""
        self._caller.reset_connections()

    async def aclose(self) -> None:
        await self._caller.aclose()

    async def start_queue(self, queue_id: str, start: models.Start | None = None) -> models.StartResponse:
        """Register a new worker on a queue (2.1).

        Raises:
            QueueNotFound, QueueInactive, CredentialsRefused, Rejected: nothing will change by itself.
            Unreachable, ServerTrouble, RateLimited: worth another try.
        """
        action = worded("the registration on queue {id}", id=queue_id)
        wish = start or models.Start(control_plane_url=self.base_url)
        answer = await self._caller.send(
            "POST", f"/worker-queues/{segment(queue_id)}/start", action=action, body=wish, vital=True,
            limit_seconds=START_LIMIT_SECONDS,
        )  # fmt: skip
        match answer.status:
            case 404:
                raise errors.QueueNotFound(
                    worded("There is no worker queue {id} on {server}.", id=queue_id, server=self.server), status=404
                ).with_repair("Check the id; `kubiya-worker queues` lists the queues that your key can use.")
            case 403 if _is_json(answer):
                raise errors.QueueNotFound(
                    worded("The worker queue {id} belongs to another organization than your API key.", id=queue_id),
                    status=403,
                ).with_repair(
                    "Check the id (`kubiya-worker queues`), or use that organization's key (`kubiya-worker login`)."
                )
            case 400:
                said = self._caller.words(answer)
                raise errors.QueueInactive(
                    worded(
                        "The worker queue {id} takes no workers ({why}). Activate it on the control plane, or choose "
                        "another: `kubiya-worker queues`.",
                        id=queue_id,
                        why=said.rstrip(".") or worded("it is not active"),
                    ),
                    status=400,
                )
            case _:
                self._caller.expect(answer, action=action)
        raw = self._caller.decode(answer, action=action)
        return self._caller.read(models.StartResponse, raw, action=action)

    async def heartbeat(self, worker_id: str, beat: models.Heartbeat) -> None:
        """Say that the worker lives (3.1). The server answers 204 even for a worker it does not know."""
        await self._caller.call(
            "POST", f"/workers/{segment(worker_id)}/heartbeat", worded("the heartbeat"), body=beat, vital=True
        )

    async def disconnect(self, worker_id: str, disconnect: models.Disconnect) -> None:
        """Say that the worker leaves (4.1). No heartbeat may follow: it would make the worker active again."""
        await self._caller.call(
            "POST", f"/workers/{segment(worker_id)}/disconnect", worded("the sign-off"), body=disconnect, vital=True
        )

    async def delete_queue(self, queue_id: str) -> None:
        """Delete a queue (2.8). Refused for the default one, and while workers are active on it."""
        await self._caller.call("DELETE", f"/worker-queues/{segment(queue_id)}", f"the deletion of queue {queue_id}")

    # -- executions, as the worker sees them ----------------------------------------------------------------------

    async def get_execution(self, execution_id: str) -> models.ExecutionRecord:
        return await self._caller.get(
            models.ExecutionRecord, f"/executions/{segment(execution_id)}", worded("execution {id}", id=execution_id)
        )

    async def patch_execution(self, execution_id: str, patch: models.ExecutionPatch) -> None:
        """Change an execution. `execution_metadata` replaces the stored one: give it the server's keys, too (8.2)."""
        await self._caller.call(
            "PATCH", f"/executions/{segment(execution_id)}", f"the change of execution {execution_id}", body=patch
        )

    async def publish_event(self, execution_id: str, event: models.ExecutionEvent | bytes) -> None:
        """Publish one event, given as a model or as the JSON of one.

        Raises:
            ServerTrouble: also for a 202 whose body says that the event was not stored (protocol, 12).
        """
        action = worded("an event of execution {id}", id=execution_id)
        answer = await self._caller.call("POST", f"/executions/{segment(execution_id)}/events", action, body=event)
        self._caller.check_success(answer, action=action)

    async def enforce(self, question: Mapping[str, Any]) -> models.Verdict:
        """Ask the enforcer about a tool call (8.10), for 2 s at most.

        Raises:
            ControlPlaneError: it did not answer, or not in its form.
        """
        action = "the enforcer's decision"
        answer = await self._caller.send(
            "POST", "/enforcer/enforce", action, body=question, limit_seconds=ENFORCE_LIMIT_SECONDS
        )
        self._caller.expect(answer, action=action)
        return self._caller.read(models.Verdict, self._caller.decode(answer, action=action), action=action)

    async def load_session(self, execution_id: str) -> dict[str, Any] | None:
        """The stored conversation (8.5), or None where there is none."""
        action = worded("the session of execution {id}", id=execution_id)
        answer = await self._caller.send("GET", f"/executions/{segment(execution_id)}/session", action=action)
        if answer.status == 404:
            return None
        self._caller.expect(answer, action=action)
        raw = self._caller.decode(answer, action=action)
        if not isinstance(raw, dict):
            raise errors.ServerTrouble(
                worded("{server} answered {action} with JSON of the wrong kind.", server=self.server, action=action)
            )
        return raw

    async def save_session(
        self,
        execution_id: str,
        *,
        messages: Sequence[Mapping[str, Any]],
        user_id: str | None = None,
        session_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        """Replace the stored conversation by `messages` (8.5). The body's `success` counts, not the status."""
        action = worded("the session of execution {id}", id=execution_id)
        body = {
            "session_id": session_id or execution_id,
            "user_id": user_id,
            "messages": messages,
            "metadata": metadata or {},
        }
        answer = await self._caller.call(
            "POST", f"/executions/{segment(execution_id)}/session", action, body=body, limit_seconds=30.0
        )
        self._caller.check_success(answer, action=action)

    async def record_turn(self, turn: models.TurnAnalytics) -> None:
        """Store a turn's numbers; the server then decides the execution's next status, and writes it (8.6)."""
        action = f"the numbers of execution {turn.execution_id}"
        await self._caller.call("POST", "/analytics/turns", action, body=turn, limit_seconds=RECORD_TURN_LIMIT_SECONDS)

    async def resolved_environment(self, kind: EntityKind, entity_id: str) -> models.ResolvedEnvironment:
        """Variables, MCP servers and prompt of an agent or team (8.9); empty where the server has none or fails."""
        path = f"/execution-environment/{kind}/{segment(entity_id)}/resolved/full"
        raw = await self._caller.get_optional(path, action=f"the environment of {kind[:-1]} {entity_id}")
        if not isinstance(raw, Mapping):
            return models.ResolvedEnvironment()
        return self._caller.read(models.ResolvedEnvironment, _texts(raw), action="the environment")

    async def resolved_skills(self, kind: EntityKind, entity_id: str) -> list[dict[str, Any]]:
        """Skills of an agent or team (8.8); empty where the server has none or fails."""
        path = f"/skills/associations/{kind}/{segment(entity_id)}/skills/resolved"
        raw = await self._caller.get_optional(path, action=f"the skills of {kind[:-1]} {entity_id}")
        return [skill for skill in raw if isinstance(skill, dict)] if isinstance(raw, list) else []

    async def get_skill(self, skill_id: str) -> dict[str, Any] | None:
        """A skill by its id, or None where there is none."""
        raw = await self._caller.get_optional(f"/skills/{segment(skill_id)}", action=f"skill {skill_id}")
        return raw if isinstance(raw, dict) else None

    async def get_agent(self, agent_id: str) -> models.Agent:
        return await self._caller.get(models.Agent, f"/agents/{segment(agent_id)}", f"agent {agent_id}")

    async def get_team(self, team_id: str) -> models.Team:
        return await self._caller.get(models.Team, f"/teams/{segment(team_id)}", f"team {team_id}")

    async def create_job_execution(self, job: models.JobExecution) -> None:
        """Make the record of one run of a job (8.7); repeating it does no harm.

        Raises:
            NotFound, Rejected: the job is gone (404, 410).
        """
        await self._caller.call("POST", "/executions/job-executions", f"the run of job {job.job_id}", body=job)

    async def set_job_status(
        self,
        execution_id: str,
        job_id: str,
        *,
        status: str,
        duration_ms: int | None = None,
        error_message: str | None = None,
    ) -> None:
        """Say how a job's run ended (8.7)."""
        body = {"status": status, "duration_ms": duration_ms, "error_message": error_message}
        path = f"/executions/{segment(execution_id)}/job/{segment(job_id)}/status"
        await self._caller.call("POST", path, f"the status of job {job_id}", body=body)

    async def context_graph(
        self,
        method: Literal["GET", "POST"],
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
        limit_seconds: float = 60.0,
    ) -> Any:
        """One call of the context graph, which the control plane passes on (8.10). `path` begins with a slash."""
        action = "the question to the context graph"
        answer = await self._caller.call(
            method, f"/context-graph{path}", action, body=body, query=query, limit_seconds=limit_seconds
        )
        return self._caller.decode(answer, action=action)

    # -- what a person asks: queues, agents, executions -------------------------------------------------------------

    async def list_queues(self) -> list[models.Queue]:
        return await self._caller.get_list(
            models.Queue, "/worker-queues", worded("the list of worker queues"), key="worker_queues"
        )

    async def queue(self, queue_id: str) -> models.Queue:
        return await self._caller.get(models.Queue, f"/worker-queues/{segment(queue_id)}", f"worker queue {queue_id}")

    async def queue_config(self, queue_id: str) -> models.QueueConfig:
        """What is set for a queue now (6)."""
        path = f"/worker-queues/{segment(queue_id)}/config"
        return await self._caller.get(models.QueueConfig, path, worded("the settings of queue {id}", id=queue_id))

    async def queue_workers(self, queue_id: str) -> list[models.QueueWorker]:
        """The workers that are active on a queue, this one among them (6)."""
        path = f"/worker-queues/{segment(queue_id)}/workers"
        return await self._caller.get_list(
            models.QueueWorker, path, worded("the workers of queue {id}", id=queue_id), key="workers"
        )

    async def queue_executions(self, queue_id: str, *, limit: int) -> list[models.ExecutionRecord]:
        """The newest executions of a queue (6), `limit` at most; prompts of 200 characters, and no answers."""
        path = f"/worker-queues/{segment(queue_id)}/executions"
        return await self._caller.get_list(
            models.ExecutionRecord, path, worded("the executions of queue {id}", id=queue_id), key="executions",
            query={"limit": str(limit), "status": "all"},
        )  # fmt: skip

    async def list_agents(self) -> list[models.Agent]:
        return await self._caller.get_list(models.Agent, "/agents", worded("the list of agents"), key="agents")

    async def execute_agent(self, agent_id: str, wish: models.Execute) -> models.Submitted:
        """Submit a prompt to an agent."""
        action = worded("the prompt for agent {id}", id=agent_id)
        answer = await self._caller.call(
            "POST", f"/agents/{segment(agent_id)}/execute", action, body=wish, limit_seconds=30.0
        )
        return self._caller.read(models.Submitted, self._caller.decode(answer, action=action), action=action)

    async def send_message(self, execution_id: str, message: str, *, role: str = "user") -> None:
        """Continue a conversation.

        Raises:
            Rejected: the execution takes no message any more.
        """
        await self._caller.command(execution_id, "message", body={"message": message, "role": role})

    async def mark_done(self, execution_id: str) -> None:
        await self._caller.command(execution_id, "mark-done")

    async def pause(self, execution_id: str) -> None:
        """Pause after the present step.

        Raises:
            Rejected: the execution is not in a state that can be paused (a 200 with `success: false`).
        """
        await self._caller.command(execution_id, "pause")

    async def resume(self, execution_id: str) -> None:
        """Go on after a pause.

        Raises:
            Rejected: the execution is not paused.
        """
        await self._caller.command(execution_id, "resume")

    async def cancel(self, execution_id: str) -> None:
        """Cancel an execution.

        Raises:
            Rejected: it is neither running nor waiting (the server cancels no pending ones).
        """
        await self._caller.command(execution_id, "cancel")

    async def validate_key(self) -> dict[str, Any]:
        """The organization and user of the API key (1.4)."""
        action = worded("the check of the API key")
        answer = await self._caller.call("GET", "/auth/validate", action)
        raw = self._caller.decode(answer, action=action)
        return raw if isinstance(raw, dict) else {}

    def stream(self, execution_id: str, *, after: str | None = None) -> AsyncIterator[ServerSentEvent]:
        """The live stream of an execution (8.4), until the server ends it or it breaks off.

        The server ends a stream after 270 s with a `reconnect` event: call again with the last event's `id` as `after`.

        Raises:
            Unreachable: it broke off, or was silent for 60 s.
        """
        from worker_core.control_plane import streams  # a worker reads none

        return streams.stream(self._caller, execution_id, after=after)

    def follow(self, execution_id: str) -> AsyncIterator[ServerSentEvent]:
        """`stream`, taken up again where the server asks for it; ends when the server ends it otherwise."""
        from worker_core.control_plane import streams

        return streams.follow(self._caller, execution_id)


def _is_json(answer: HttpAnswer) -> bool:
    return answer.headers.get("content-type", "").startswith("application/json")


def _texts(raw: Mapping[str, Any]) -> dict[str, Any]:
    """The environment with its variables as text: null is left out, numbers and booleans are written."""
    variables = raw.get("env_vars")
    if not isinstance(variables, Mapping):
        return dict(raw)
    return {
        **raw,
        "env_vars": {
            str(name): value if isinstance(value, str) else wire.encode(value).decode()
            for name, value in variables.items()
            if value is not None
        },
    }
