"""Request bodies of the control plane (facts: protocol, sections 2, 3, 4, 6, 8). Unknown keys are ignored."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, field

Object = dict[str, Any]


class Body(Struct, frozen=True, kw_only=True):
    """Base of all bodies."""


class SystemInfo(Body, frozen=True, kw_only=True):
    """2.2; every field optional and nullable."""

    hostname: str | None = None
    platform: str | None = None
    os_name: str | None = None
    os_version: str | None = None
    python_version: str | None = None
    cli_version: str | None = None
    sdk_version: str | None = None
    pid: int | None = None
    cwd: str | None = None
    supported_runtimes: list[str] | None = None
    llm_gateway_url: str | None = None
    docker_available: bool | None = None
    docker_version: str | None = None
    cpu_count: int | None = None
    cpu_percent: float | None = None
    memory_percent: float | None = None
    disk_percent: float | None = None
    memory_total: int | None = None
    memory_used: int | None = None
    disk_total: int | None = None
    disk_used: int | None = None
    uptime_seconds: float | None = None


class Start(Body, frozen=True, kw_only=True):
    worker_sdk_version: str | None = None
    system_info: SystemInfo | None = None
    control_plane_url: str | None = None


class Heartbeat(Body, frozen=True, kw_only=True):
    status: str = "active"
    tasks_processed: int = 0
    current_task_id: str | None = None
    worker_metadata: Object = field(default_factory=dict)
    system_info: SystemInfo | None = None
    logs: list[str] | None = None


class Disconnect(Body, frozen=True, kw_only=True):
    reason: str = "shutdown"
    exit_code: int | None = None
    error_message: str | None = None


class NewQueue(Body, frozen=True, kw_only=True):
    name: str
    display_name: str | None = None
    description: str | None = None
    max_workers: int | None = None
    heartbeat_interval: int = 60
    tags: list[str] = []
    settings: Object = field(default_factory=dict)
    ephemeral: bool = False
    single_execution: bool = False


class QueueChange(Body, frozen=True, kw_only=True):
    name: str | None = None
    display_name: str | None = None
    description: str | None = None
    status: str | None = None
    max_workers: int | UnsetType | None = UNSET
    heartbeat_interval: int | None = None
    tags: list[str] | None = None
    settings: Object | None = None


class NewJob(Body, frozen=True, kw_only=True):
    name: str
    prompt: str
    entity_id: str
    worker_queue_id: str
    entity_type: str = "agent"
    description: str | None = None
    system_prompt: str | None = None
    model_id: str | None = None
    configuration: Object | None = None
    cron_schedule: str | None = None
    cron_timezone: str = "UTC"
    interval_seconds: int | None = None
    """Playground only: every so many seconds, in place of a cron schedule."""


class JobChange(Body, frozen=True, kw_only=True):
    name: str | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    entity_id: str | UnsetType = UNSET
    entity_type: str | UnsetType = UNSET
    worker_queue_id: str | UnsetType = UNSET
    description: str | UnsetType | None = UNSET
    system_prompt: str | UnsetType | None = UNSET
    model_id: str | UnsetType | None = UNSET
    configuration: Object | UnsetType | None = UNSET
    cron_schedule: str | UnsetType | None = UNSET
    cron_timezone: str | UnsetType = UNSET
    interval_seconds: int | UnsetType | None = UNSET


class ExecutionChange(Body, frozen=True, kw_only=True):
    status: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    response: str | None = None
    error_message: str | None = None
    usage: Object | None = None
    execution_metadata: Object | None = None


class NewEvent(Body, frozen=True, kw_only=True):
    event_type: str
    data: Object
    timestamp: str | None = None


class Execute(Body, frozen=True, kw_only=True):
    prompt: str
    worker_queue_id: str
    system_prompt: str | None = None
    user_metadata: Object | None = None
    model_id: str | None = None
    runner_name: str | None = None
    execution_environment: Object | None = None
    configuration: Object | None = None
    """Playground only: laid over the agent's own for this execution, e.g. `{"single_turn": true}`."""


class ExecuteDynamic(Body, frozen=True, kw_only=True):
    """Body of a dynamic execution (7.7)."""

    prompt: str
    worker_queue_id: str
    entity_type: str = "agent"
    system_prompt: str | None = None
    model_id: str | None = None
    llm_config: Object | None = None
    agent_config: Object | None = None
    skill_ids: list[str] | None = None
    user_metadata: Object | None = None
    runtime_type: str = "claude_code"


class NewMessage(Body, frozen=True, kw_only=True):
    message: str
    role: str = "user"


class ApprovalAnswer(Body, frozen=True, kw_only=True):
    """Playground only: what the signal `answer_approval` carries."""

    answer: Literal["allow", "deny"]
    scope: Literal["once", "execution"] = "once"
    content: dict[str, Any] | None = None
    """What is filled in, where a call asks for something."""


class Reason(Body, frozen=True, kw_only=True):
    reason: str | None = None


class Turn(Body, frozen=True, kw_only=True):
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
    input_cost: float = 0
    output_cost: float = 0
    cache_read_cost: float = 0
    cache_creation_cost: float = 0
    total_cost: float = 0
    response_preview: str | None = None
    tools_called_count: int = 0
    tools_called_names: list[str] = []
    metrics: Object = field(default_factory=dict)
    runtime_minutes: float = 0
    model_weight: float = 1
    tool_calls_weight: float = 1
    aem_value: float = 0
    aem_cost: float = 0


class ToolCall(Body, frozen=True, kw_only=True):
    execution_id: str
    tool_name: str
    started_at: str
    turn_id: str | None = None
    tool_use_id: str | None = None
    completed_at: str | None = None
    duration_ms: int | None = None
    tool_input: Object | None = None
    tool_output: str | None = None
    tool_output_size: int | None = None
    success: bool = True
    error_message: str | None = None
    error_type: str | None = None
    metadata: Object = field(default_factory=dict)


class TaskItem(Body, frozen=True, kw_only=True):
    execution_id: str
    task_description: str
    task_number: int | None = None
    task_id: str | None = None
    task_type: str | None = None
    status: str = "pending"
    started_at: str | None = None
    completed_at: str | None = None
    duration_ms: int | None = None
    result: str | None = None
    error_message: str | None = None
    metadata: Object = field(default_factory=dict)


class TaskChange(Body, frozen=True, kw_only=True):
    status: str | None = None
    completed_at: str | None = None
    duration_ms: int | None = None
    result: str | None = None
    error_message: str | None = None


class Batch(Body, frozen=True, kw_only=True):
    execution_id: str
    turns: list[Turn] = []
    tool_calls: list[ToolCall] = []
    tasks: list[TaskItem] = []


class JobExecution(Body, frozen=True, kw_only=True):
    execution_id: str
    entity_type: str
    prompt: str
    trigger_type: str
    job_id: str | None = None
    entity_id: str | None = None
    trigger_metadata: Object = field(default_factory=dict)


class JobStatus(Body, frozen=True, kw_only=True):
    status: str
    duration_ms: int | None = None
    error_message: str | None = None


class AgentFields(Body, frozen=True, kw_only=True):
    """What POST and PATCH of an agent have in common; null = unchanged."""

    description: str | None = None
    status: str | None = None
    capabilities: list[str] | None = None
    configuration: Object | None = None
    model_id: str | None = None
    llm_config: Object | None = None
    runtime: str | None = None
    runner_name: str | None = None
    team_id: str | None = None
    execution_environment: Object | None = None
    environment_ids: list[str] | None = None
    skill_ids: list[str] | None = None
    state: Object | None = None


class NewAgent(AgentFields, frozen=True, kw_only=True):
    name: str


class AgentChange(AgentFields, frozen=True, kw_only=True):
    name: str | None = None


class TeamFields(Body, frozen=True, kw_only=True):
    description: str | None = None
    status: str | None = None
    configuration: Object | None = None
    runtime: str | None = None
    execution_environment: Object | None = None
    environment_ids: list[str] | None = None
    skill_ids: list[str] | None = None
    agent_ids: list[str] | None = None


class NewTeam(TeamFields, frozen=True, kw_only=True):
    name: str


class TeamChange(TeamFields, frozen=True, kw_only=True):
    name: str | None = None


class NewSkill(Body, frozen=True, kw_only=True):
    name: str
    type: str
    description: str | None = None
    icon: str = "Wrench"
    enabled: bool = True
    configuration: Object = field(default_factory=dict)


class SkillChange(Body, frozen=True, kw_only=True):
    name: str | None = None
    description: str | None = None
    icon: str | None = None
    enabled: bool | None = None
    configuration: Object | None = None


class SkillLink(Body, frozen=True, kw_only=True):
    skill_id: str
    configuration_override: Object = field(default_factory=dict)


class NewEnvironment(Body, frozen=True, kw_only=True):
    name: str
    display_name: str | None = None
    description: str | None = None
    tags: list[str] = []
    settings: Object = field(default_factory=dict)
    execution_environment: Object = field(default_factory=dict)


class NewSecret(Body, frozen=True, kw_only=True):
    name: str
    value: str


class ChatMessage(Body, frozen=True, kw_only=True):
    """7.8; what `add_message` carries."""

    role: str
    content: str
    timestamp: str
    tool_name: str | None = None
    tool_input: Object | None = None
    tool_output: Object | None = None
    message_id: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    user_email: str | None = None
    user_avatar: str | None = None


class ExecutionState(Body, frozen=True, kw_only=True):
    """7.8; what `get_state` answers."""

    status: str
    messages: list[ChatMessage] = []
    current_response: str = ""
    error_message: str | None = None
    usage: Object = field(default_factory=dict)
    metadata: Object = field(default_factory=dict)
    is_waiting_for_input: bool = False
    should_complete: bool = False
    is_paused: bool = False
