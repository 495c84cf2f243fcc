"""Every setting, declared once: its type, its default, and what flag, variable, page, file and README say of it.

To add one, add one field here, and use it. `scripts/settings_reference.py` then writes the README's table and
`docs/config.toml`; a test says so where that was forgotten, and which words the window's languages lack.
"""

# No `from __future__ import annotations`: the types of the fields are looked at.
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Final

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError
from worker_core.key_sources import API_KEY, LLM_API_KEY
from worker_core.logs.sinks import FILE_LIMIT_MB, FILES, LogFormat
from worker_core.network.hosts import listening_host
from worker_core.network.proxy import check_proxy
from worker_core.network.termination import Cloud
from worker_core.network.urls import base_url
from worker_core.secrets import Secret
from worker_core.settings.choices import (
    ClaudeFallback,
    LogLevel,
    TlsMode,
    listening_port,
    path,
    read_label,
)
from worker_core.settings.declaration import Group, Kind, Setting, declared, setting, shown, why
from worker_core.settings.hook_fields import HookSettings
from worker_core.settings.per_queue import PerQueue, read_limit, read_number

DEFAULT_CONTROL_PLANE_URL: Final = "https://control-plane.kubiya.ai"
DEFAULT_MODEL: Final = "kubiya/claude-sonnet-4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(HookSettings):
    """What the user may decide. Every field has a default that works on a laptop."""

    queue_ids: tuple[str, ...] = setting(
        (),
        Group.WORK,
        "Queues",
        "Queue ids to take work from, with commas between them.",
        variable="QUEUE_ID",
        flag="--queue-id",
        flag_help="Queues to serve.",
        metavar="ID...",
    )
    """Worker queues to serve."""

    max_executions: int | None = setting(
        None,
        Group.WORK,
        "Executions at once",
        "Empty: sized to this machine's memory.",
        flag="--max-executions",
        flag_help="In mid-turn at once. Default: by memory.",
        live=True,
    )
    """Executions in the middle of a turn at the same time. Unset: sized to the machine's memory."""

    queue_limits: tuple[PerQueue, ...] = setting(
        (),
        Group.WORK,
        "Executions at once, by queue",
        "ID=NUMBER, with commas between them. Other queues share all places.",
        flag="--queue-limit",
        flag_help="At most so many of this queue in mid-turn at once.",
        metavar="ID=NUMBER",
        reader=read_limit,
    )
    """Executions of one queue in the middle of a turn at the same time, as `ID=NUMBER`. Others share all places."""

    queue_priorities: tuple[PerQueue, ...] = setting(
        (),
        Group.WORK,
        "Priorities of queues",
        "ID=NUMBER, with commas between them. The highest comes first; 0 where none is named.",
        flag="--queue-priority",
        flag_help="The queue with the highest number comes first (0).",
        metavar="ID=NUMBER",
        reader=read_number,
    )
    """While places are short, the queue with the highest number comes first. As `ID=NUMBER`; 0 where none is named."""

    max_activities: int | None = setting(
        None,
        Group.WORK,
        "Model and tool calls at once",
        "Per queue. Empty: sized to this machine.",
        flag="--max-activities",
        flag_help="Model and tool calls, per queue.",
    )
    """Model and tool calls at the same time, per queue. Unset: twice the executions, 8 at least."""

    drain_timeout: timedelta = setting(
        timedelta(minutes=5),
        Group.WORK,
        "Time to finish on stop",
        "Running turns get this long before they are cancelled.",
        flag="--drain-timeout",
        flag_help="Limit of the first stop.",
        live=True,
    )
    """How long a first stop request waits for running turns before it cancels them."""

    home_lost_after: timedelta = setting(
        timedelta(minutes=5),
        Group.WORK,
        "Wait for a lost machine",
        "How long an execution waits for its workspace.",
        live=True,
    )
    """How long an execution waits for the machine that holds its workspace."""

    heartbeat_interval: timedelta | None = setting(
        None,
        Group.WORK,
        "Heartbeat every",
        "Empty: what the control plane says. At most 60 s.",
        variable="HEARTBEAT_INTERVAL",
        flag="--heartbeat-interval",
        flag_help="Default: what the server says, else 30 s.",
        live=True,
    )
    """Time between heartbeats. Unset: what the server says, 30 s where it says nothing. Never above 60 s: the
    server stops counting a worker as active after 150 s of silence."""

    fail_fast: bool = setting(
        False,
        Group.WORK,
        "Give up when it cannot register",
        "For CI. Off: try for ever.",
        flag="--fail-fast",
        flag_help="Leave instead of retrying for ever.",
    )
    """Leave with an error instead of retrying registration for ever (for CI)."""

    status_port: int | None = setting(
        None,
        Group.WORK,
        "Status port",
        "For probes and Prometheus. Empty: none.",
        flag="--status-port",
        flag_help="Serve /healthz, /readyz and /metrics there. 0: any that is free.",
        metavar="PORT",
        reader=listening_port,
    )
    """Port of `/healthz`, `/readyz` and `/metrics`. Unset: none. 0: one that is free; the log says which."""

    status_host: str = setting(
        "127.0.0.1",
        Group.WORK,
        "Status host",
        "0.0.0.0 or :: for others than this machine.",
        flag="--status-host",
        flag_help="Where the status port is: 0.0.0.0 or :: for others than this machine.",
        metavar="HOST",
        reader=listening_host,
    )
    """Where the status port is opened: this machine alone, unless told otherwise (`0.0.0.0`, `::`)."""

    cloud: Cloud = setting(
        "none",
        Group.WORK,
        "Cloud that takes machines away",
        "Its notice begins a drain: spot and preemptible machines.",
        flag="--cloud",
        flag_help="Whose notice of the machine's end begins a drain.",
    )
    """Whose metadata service is asked, every 5 s, whether this machine is going to be taken away. Its notice begins a
    drain that fits into what is left."""

    labels: tuple[str, ...] = setting(
        (),
        Group.WORK,
        "Labels",
        "NAME=VALUE, with commas between them. The control plane shows them.",
        flag="--label",
        flag_help="Told to the control plane.",
        metavar="NAME=VALUE",
        reader=read_label,
    )
    """What the control plane is told of this worker besides, in each heartbeat, as `NAME=VALUE`."""

    single_execution: bool = setting(
        False,
        Group.WORK,
        "Leave after one execution",
        "For CI.",
        variable="SINGLE_EXECUTION",
        flag="--single-execution",
        flag_help="Leave after one execution.",
    )
    """Leave after one execution. A queue may ask for the same."""

    single_execution_wait: timedelta = setting(
        timedelta(minutes=30), Group.WORK, "Wait for that execution", "Or for its user, before the worker leaves."
    )
    """How long `single_execution` waits for the execution, or for its user."""

    control_plane_url: str = setting(
        DEFAULT_CONTROL_PLANE_URL,
        Group.CONNECTION,
        "Control plane",
        "Its address.",
        variable="CONTROL_PLANE_URL",
        flag="--control-plane-url",
        flag_help="Control plane to talk to.",
        metavar="URL",
        reader=base_url,
    )
    """Base of the control plane, without `/api/v1` and without a final slash."""

    api_key_file: Path | None = setting(
        None,
        Group.CONNECTION,
        "File of the API key",
        "Instead of the keychain; read again when it changes.",
        variable=API_KEY.file_variable,
        flag="--api-key-file",
        flag_help="File that holds the API key.",
        reader=path,
    )
    """File that holds the API key, as secrets of containers are handed over. Read again when it changes. Without it,
    `$CREDENTIALS_DIRECTORY/kubiya-api-key` is looked for (systemd), then the keychain is asked."""

    temporal_tls: TlsMode = setting(
        "auto",
        Group.CONNECTION,
        "TLS to Temporal",
        "Auto: on for cloud hosts and wherever a key is used.",
        flag="--temporal-tls",
        flag_help="TLS with Temporal.",
    )
    """`auto`: TLS for cloud hosts and wherever a key is used, plaintext on loopback."""

    proxy: str = setting(
        "system",
        Group.CONNECTION,
        "Proxy",
        "For the control plane, Temporal and the gateway. Never for this machine itself.",
        flag="--proxy",
        flag_help="`system`, `none`, or http://host:port.",
        metavar="URL",
        reader=check_proxy,
    )
    """`system`: what HTTPS_PROXY and NO_PROXY say, else the system's settings. `none`. Or `http://host:port`."""

    ca_file: Path | None = setting(
        None,
        Group.CONNECTION,
        "Certificate authorities",
        "A PEM file with your organization's own authorities.",
        flag="--ca-file",
        flag_help="Additional certificate authorities.",
        metavar="PEM",
    )
    """PEM file of additional certificate authorities, for the control plane, Temporal and the LLM gateway."""

    allow_http: bool = setting(
        False,
        Group.CONNECTION,
        "Keys over http://",
        "To other machines, unencrypted: everybody on the way can read them.",
    )
    """Keys may go to other machines over http://, which everybody on the way can read. To this one they always may."""

    llm_base_url: str = setting(
        "",
        Group.MODELS,
        "Model gateway",
        "OpenAI-compatible address. Empty: what the control plane says.",
        variable="LITELLM_API_BASE",
        reader=base_url,
        live=True,
    )
    """OpenAI-compatible base URL. Empty: what the control plane says at registration."""

    llm_api_key: Secret = setting(
        Secret(""),
        Group.MODELS,
        "Key of the model gateway",
        "Empty: what the control plane says.",
        variable=LLM_API_KEY.variable,
        live=True,
    )
    """Key of the model gateway, from the environment or a file. Empty: what the control plane says at registration."""

    llm_api_key_file: Path | None = setting(
        None,
        Group.MODELS,
        "File of the model gateway's key",
        "Read again when it changes.",
        variable=LLM_API_KEY.file_variable,
        flag="--llm-api-key-file",
        flag_help="File that holds the model gateway's key.",
        reader=path,
    )
    """File that holds the model gateway's key; read again when it changes. Without it,
    `$CREDENTIALS_DIRECTORY/litellm-api-key` is looked for (systemd)."""

    default_model: str = setting(
        DEFAULT_MODEL,
        Group.MODELS,
        "Default model",
        "For executions that name none.",
        variable="LITELLM_DEFAULT_MODEL",
        live=True,
    )
    """Model for executions that name none."""

    model_override: str = setting(
        "",
        Group.MODELS,
        "Model for everything",
        "Whatever executions ask for.",
        variable="KUBIYA_MODEL_OVERRIDE",
        flag="--model",
        flag_help="For all executions, whatever they name.",
        metavar="NAME",
        live=True,
    )
    """Model for all executions, whatever they name."""

    context_limit_tokens: int = setting(
        100_000, Group.MODELS, "Conversation limit", "Tokens; older parts become a summary before that.", live=True
    )
    """How much of a conversation the model is given, in tokens. What is older becomes a summary before that."""

    model_timeout: timedelta = setting(
        timedelta(minutes=30), Group.MODELS, "Longest model call", "One attempt, its whole stream.", live=True
    )
    """Limit for one attempt of a model call, its whole stream."""

    model_wait: timedelta = setting(
        timedelta(minutes=10),
        Group.MODELS,
        "Longest wait for the gateway",
        "In one model call, when it asks for fewer requests.",
        live=True,
    )
    """How long one model call waits, all in all, for a gateway that asks for fewer requests or is overloaded."""

    model_attempts: int = setting(
        6, Group.MODELS, "Attempts of a model call", "When the gateway refuses it for the moment.", live=True
    )
    """Attempts of a model call that the gateway refused for now, or broke off; what cannot help is not repeated."""

    claude_code_fallback: ClaudeFallback = setting(
        "fail",
        Group.MODELS,
        "Without Claude Code",
        "What becomes of executions that ask for it where it is not installed.",
        live=True,
    )
    """What becomes of an execution that asks for the runtime `claude_code` where that is not installed."""

    log_level: LogLevel = setting(
        "INFO",
        Group.LOGGING,
        "Log level",
        "How much is written.",
        variable="LOG_LEVEL",
        flag="--log-level",
        flag_help="What is logged.",
        live=True,
    )
    """What is logged: this and what is worse."""

    log_format: LogFormat = setting(
        "text",
        Group.LOGGING,
        "Log format",
        "`json`: one object a line, in the terminal and in the file.",
        flag="--log-format",
        flag_help="Of stderr, stdout and the log file.",
    )
    """`text`, or `json`: one object a line; of the terminal and of the log file."""

    log_file_mb: int = setting(
        FILE_LIMIT_MB, Group.LOGGING, "Largest log file", "In megabytes; then another one is begun."
    )
    """How large a log file becomes before another one is begun, in megabytes."""

    log_files: int = setting(FILES, Group.LOGGING, "Log files", "How many are kept; the oldest goes.")
    """How many log files are kept, the newest included."""

    restart_after: timedelta = setting(
        timedelta(seconds=1),
        Group.DAEMON,
        "First wait after a crash",
        "Before the worker is started again; it doubles with each crash, and counts anew after ten good minutes.",
    )
    """How long a daemon waits, at most, before it starts a crashed worker again. It doubles with each crash, and counts
    anew once a worker ran for ten minutes."""

    restart_after_limit: timedelta = setting(
        timedelta(minutes=5),
        Group.DAEMON,
        "Longest wait after a crash",
        "It is started again however often it crashed.",
    )
    """The longest wait between a crash and the next start, however many crashes there were."""

    hung_after: timedelta = setting(
        timedelta(minutes=1),
        Group.DAEMON,
        "Hung after",
        "A worker whose event loop stands still for so long is ended, and started again.",
    )
    """How long a worker's event loop may stand still before its daemon ends it and starts another one."""

    def __post_init__(self) -> None:
        for one in SETTINGS.values():
            value = getattr(self, one.name)
            if one.kind is Kind.SECRET or value == one.default:
                continue
            try:
                one.read(value)
            except ValueError as error:
                said = worded("{called} is {value}; {why}.", called=one.name, value=shown(value), why=why(error))
                raise ConfigurationError(said) from error


SETTINGS: Final[Mapping[str, Setting]] = declared(Settings)
"""By name, in the order of the page."""
