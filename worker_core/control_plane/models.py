"""What travels between worker and control plane. Sections are those of the protocol's description.

Answers are made by `wire.read`: fields without a default are required, all others survive null and nonsense.
Requests leave out what is at its default, which the server reads as "unchanged" or "not given".
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from worker_core.secrets import Secret


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what the server sends."""


class Wish(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Base of what the worker sends."""


class StartResponse(Received, frozen=True, kw_only=True):
    """Registration of one worker on one queue (2.1)."""

    worker_id: str
    task_queue_name: str
    temporal_namespace: str
    temporal_host: str
    temporal_api_key: Secret = Secret("")
    organization_id: str = ""
    control_plane_url: str = ""
    heartbeat_interval: int = 0
    """Seconds; 0 where the server says nothing."""
    litellm_api_url: str = ""
    litellm_api_key: Secret = Secret("")
    queue_name: str = ""
    environment_name: str = ""
    queue_id: str = ""
    queue_ephemeral: bool = False
    queue_single_execution: bool = False
    redis_url: Secret = Secret("")
    redis_password: Secret = Secret("")
    redis_enabled: bool = False
    websocket_enabled: bool = False
    websocket_url: str = ""
    websocket_features: tuple[str, ...] = ()
    nats_config: dict[str, Secret] = msgspec.field(default_factory=dict)
    control_plane_sdk_version: str = ""


class Verdict(Received, frozen=True, kw_only=True):
    """What the enforcer says of a tool call (8.10)."""

    allow: bool
    id: str = ""
    policies: tuple[Any, ...] = ()


class SystemInfo(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """The machine, for display only (2.2). Sizes in bytes, percentages 0 to 100. None: not known, not sent."""

    hostname: str | None = None
    platform: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    python_version: str | None = None
    cli_version: str | None = None
    sdk_version: str | None = None
    pid: int | None = None
    cwd: str | None = None
    supported_runtimes: tuple[str, ...] | None = None
    llm_gateway_url: str | None = None
    docker_available: bool | None = None
    docker_version: str | None = None
    cpu_count: int | None = None
    cpu_percent: float | None = None
    memory_total: int | None = None
    memory_used: int | None = None
    memory_percent: float | None = None
    disk_total: int | None = None
    disk_used: int | None = None
    disk_percent: float | None = None
    uptime_seconds: float | None = None


class Start(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """Body of the registration (2.1)."""

    worker_sdk_version: str | None = None
    system_info: SystemInfo | None = None
    control_plane_url: str | None = None


class Heartbeat(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """One heartbeat (3.1). With `system_info` and `logs` it is a full one."""

    status: str
    tasks_processed: int
    current_task_id: str | None = None
    worker_metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    system_info: SystemInfo | None = None
    logs: list[str] | None = None


class Disconnect(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """The last word of a worker (4.1)."""

    reason: str
    exit_code: int | None = None
    error_message: str | None = None


FINAL_STATUSES: Final = frozenset({"completed", "failed", "cancelled"})
"""Of an execution that is over."""


class ExecutionRecord(Received, frozen=True, kw_only=True):
    """An execution as the server has it (8.2)."""

    id: str
    status: str = ""
    organization_id: str = ""
    execution_type: str = ""
    entity_id: str = ""
    entity_name: str = ""
    prompt: str = ""
    system_prompt: str | None = None
    response: str | None = None
    error_message: str | None = None
    usage: dict[str, Any] = msgspec.field(default_factory=dict)
    execution_metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    runner_name: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_email: str | None = None
    user_avatar: str | None = None
    created_at: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    updated_at: str | None = None
    last_message_at: str | None = None
    last_message_preview: str | None = None


class ExecutionPatch(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """Changes to an execution (8.2). None means unchanged. `execution_metadata` REPLACES what is stored."""

    status: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    response: str | None = None
    error_message: str | None = None
    usage: dict[str, Any] | None = None
    execution_metadata: dict[str, Any] | None = None


class ExecutionEvent(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """One event of an execution (8.3)."""

    event_type: str
    data: dict[str, Any]
    timestamp: str | None = None


class TurnAnalytics(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """The numbers of one turn (8.6). The server decides the execution's next status on receiving it."""

    execution_id: str
    turn_number: int
    model: str
    started_at: str
    turn_id: str | None = None
    model_provider: str | None = None
    completed_at: str | None = None
    duration_ms: int | None = None
    finish_reason: str | None = None
    error_message: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_creation_tokens: int = 0
    total_tokens: int = 0
    input_cost: float = 0.0
    output_cost: float = 0.0
    cache_read_cost: float = 0.0
    cache_creation_cost: float = 0.0
    total_cost: float = 0.0
    response_preview: str | None = None
    tools_called_count: int = 0
    tools_called_names: list[str] = msgspec.field(default_factory=list)
    metrics: dict[str, Any] = msgspec.field(default_factory=dict)


class ResolvedFile(Received, frozen=True, kw_only=True):
    path: str
    content: str = ""
    mode: str = ""
    description: str = ""


class ResolvedEnvironment(Received, frozen=True, kw_only=True):
    """What an agent or team may use (8.9). `env_vars` holds secrets: no repr shows their values."""

    env_vars: dict[str, str] = msgspec.field(default_factory=dict)
    mcp_servers: dict[str, Any] = msgspec.field(default_factory=dict)
    system_prompt: str = ""
    instructions: str = ""
    description: str = ""
    configuration: dict[str, Any] = msgspec.field(default_factory=dict)
    files: list[ResolvedFile] = msgspec.field(default_factory=list)
    graph_api_url: str = ""
    dataset_name: str = ""

    def __repr__(self) -> str:
        return f"ResolvedEnvironment(env_vars={sorted(self.env_vars)}, mcp_servers={sorted(self.mcp_servers)})"


class Queue(Received, frozen=True, kw_only=True):
    """A worker queue (6)."""

    id: str
    name: str = ""
    display_name: str = ""
    description: str = ""
    status: str = ""
    organization_id: str = ""
    environment_id: str = ""
    environment_name: str = ""
    max_workers: int | None = None
    heartbeat_interval: int = 0
    tags: list[str] = msgspec.field(default_factory=list)
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    created_at: str | None = None
    updated_at: str | None = None
    active_workers: int = 0
    task_queue_name: str = ""


class QueueConfig(Received, frozen=True, kw_only=True):
    """What is set for a worker queue, with a version that changes with it (6). `settings` may hold keys."""

    name: str = ""
    display_name: str = ""
    status: str = ""
    max_workers: int | None = None
    heartbeat_interval: int = 0
    """Seconds; 0 where the server says nothing."""
    settings: dict[str, Any] = msgspec.field(default_factory=dict)
    config_version: str = ""
    recommended_package_version: str = ""


class QueueWorker(Received, frozen=True, kw_only=True):
    """A worker that is active on a queue: its heartbeats come (6)."""

    id: str
    status: str = ""
    tasks_processed: int = 0
    current_task_id: str = ""
    last_heartbeat: str = ""
    registered_at: str = ""
    system_info: dict[str, Any] = msgspec.field(default_factory=dict)
    """As that worker sent it: `SystemInfo`, or whatever."""


class Agent(Received, frozen=True, kw_only=True):
    """An agent (9.1)."""

    id: str
    name: str = ""
    description: str = ""
    status: str = ""
    capabilities: list[Any] = msgspec.field(default_factory=list)
    configuration: dict[str, Any] = msgspec.field(default_factory=dict)
    model_id: str | None = None
    llm_config: dict[str, Any] = msgspec.field(default_factory=dict)
    runtime: str = "default"
    runner_name: str | None = None
    team_id: str | None = None
    execution_environment: dict[str, Any] = msgspec.field(default_factory=dict)


class Team(Received, frozen=True, kw_only=True):
    """A team; its members carry `id`, `name`, `status`, `capabilities`, `description` alone (9.6)."""

    id: str
    name: str = ""
    description: str = ""
    status: str = ""
    configuration: dict[str, Any] = msgspec.field(default_factory=dict)
    agents: list[dict[str, Any]] = msgspec.field(default_factory=list)


class Execute(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """Body of an agent's execute call."""

    prompt: str
    worker_queue_id: str
    system_prompt: str | None = None
    model_id: str | None = None
    configuration: dict[str, Any] | None = None
    """Merged over the agent's own."""
    execution_environment: dict[str, Any] | None = None
    """`working_dir`: arrives as `cwd` of the agent's configuration."""
    user_metadata: dict[str, Any] | None = None


class Submitted(Received, frozen=True, kw_only=True):
    """An execution was accepted."""

    execution_id: str
    workflow_id: str = ""
    status: str = ""
    message: str = ""


class JobExecution(Wish, frozen=True, kw_only=True, omit_defaults=True):
    """The record of one run of a job (8.7)."""

    execution_id: str
    entity_type: str
    prompt: str
    trigger_type: str
    """`cron`, `webhook` or `manual`."""
    job_id: str | None = None
    entity_id: str | None = None
    trigger_metadata: dict[str, Any] = msgspec.field(default_factory=dict)
