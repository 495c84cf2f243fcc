"""Validated settings: file < environment < flags.

The file is TOML at `Paths.settings_file`, with the field names below as keys; durations there, in the environment and
in flags are seconds, or texts such as `5 min`. Secrets are never read from the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from worker_core.basics import text_file
from worker_core.basics.durations import read_duration
from worker_core.basics.git_author import check_git_author
from worker_core.errors import ConfigurationError
from worker_core.network.proxy import check_proxy
from worker_core.network.urls import check_url, without_credentials
from worker_core.secrets import Secret, read_key

DEFAULT_CONTROL_PLANE_URL = "https://control-plane.kubiya.ai"
DEFAULT_MODEL = "kubiya/claude-sonnet-4"

TlsMode = Literal["auto", "on", "off"]
ApprovalMode = Literal["ask", "deny", "allow"]
SandboxName = Literal["auto", "bubblewrap", "sandbox-exec", "restricted-token", "container", "none"]
RequireSandbox = Literal["ask", "always", "never"]
ClaudeFallback = Literal["fail", "default"]
NetworkName = Literal["off", "allow-list", "on", "host"]

# Environment variable -> field. The first block is what the existing worker reads.
ENVIRONMENT: Mapping[str, str] = {
    "CONTROL_PLANE_URL": "control_plane_url",
    "QUEUE_ID": "queue_ids",
    "HEARTBEAT_INTERVAL": "heartbeat_interval",
    "LITELLM_API_BASE": "llm_base_url",
    "LITELLM_DEFAULT_MODEL": "default_model",
    "KUBIYA_MODEL_OVERRIDE": "model_override",
    "LOG_LEVEL": "log_level",
    "KUBIYA_WORKER_CA_FILE": "ca_file",
    "KUBIYA_WORKER_TEMPORAL_TLS": "temporal_tls",
    "KUBIYA_WORKER_PROXY": "proxy",
    "KUBIYA_WORKER_MAX_EXECUTIONS": "max_executions",
    "KUBIYA_WORKER_MAX_ACTIVITIES": "max_activities",
    "KUBIYA_WORKER_DRAIN_TIMEOUT": "drain_timeout",
    "KUBIYA_WORKER_FAIL_FAST": "fail_fast",
    "KUBIYA_WORKER_HOME_LOST_AFTER": "home_lost_after",
    "SINGLE_EXECUTION": "single_execution",
    "KUBIYA_WORKER_SINGLE_EXECUTION_WAIT": "single_execution_wait",
    "KUBIYA_WORKER_CLAUDE_CODE_FALLBACK": "claude_code_fallback",
    "KUBIYA_WORKER_APPROVALS": "approvals",
    "KUBIYA_WORKER_APPROVAL_TIMEOUT": "approval_timeout",
    "KUBIYA_ENFORCE_ENABLED": "enforcer",
    "KUBIYA_WORKER_ENFORCER_REQUIRED": "enforcer_required",
    "KUBIYA_WORKER_ALLOW_HTTP": "allow_http",
    "KUBIYA_WORKER_REMOTE_APPROVALS": "remote_approvals",
    "KUBIYA_WORKER_WORKSPACE_KEPT": "workspace_kept",
    "KUBIYA_WORKER_KEEP_FAILED_WORKSPACES": "keep_failed_workspaces",
    "KUBIYA_WORKER_SANDBOX": "sandbox",
    "KUBIYA_WORKER_REQUIRE_SANDBOX": "require_sandbox",
    "KUBIYA_WORKER_GIT_AUTHOR": "git_author",
    "KUBIYA_WORKER_NETWORK": "network",
    "KUBIYA_WORKER_NETWORK_ALLOW": "network_allow",
    "KUBIYA_WORKER_NETWORK_PORTS": "network_ports",
}

FLAGS: Mapping[str, str] = {"queue_ids": "--queue-id", "model_override": "--model"}
"""Flags that are not called like their fields."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the user may decide. Every field has a default that works on a laptop."""

    control_plane_url: str = DEFAULT_CONTROL_PLANE_URL
    """Base of the control plane, without `/api/v1` and without a final slash."""

    queue_ids: tuple[str, ...] = ()
    """Worker queues to serve."""

    heartbeat_interval: timedelta | None = None
    """Time between heartbeats. None: what the server says, 30 s where it says nothing. Never above 60 s: the
    server stops counting a worker as active after 150 s of silence."""

    llm_base_url: str = ""
    """OpenAI-compatible base URL. Empty: what the control plane says at registration."""

    llm_api_key: Secret = field(default_factory=lambda: Secret(""))
    """From LITELLM_API_KEY alone. Empty: what the control plane says at registration."""

    default_model: str = DEFAULT_MODEL
    """Model for executions that name none."""

    model_override: str = ""
    """Model for all executions, whatever they name."""

    max_executions: int | None = None
    """Executions in the middle of a turn at the same time. None: sized to the machine's memory."""

    max_activities: int | None = None
    """Model and tool calls at the same time, per queue. None: sized to the machine."""

    drain_timeout: timedelta = timedelta(minutes=5)
    """How long a first stop request waits for running turns before it cancels them."""

    temporal_tls: TlsMode = "auto"
    """`auto`: TLS for cloud hosts and wherever a key is used, plaintext on loopback."""

    ca_file: Path | None = None
    """PEM file of additional certificate authorities, for the control plane, Temporal and the LLM gateway."""

    allow_http: bool = False
    """Keys may go to other machines over http://, which everybody on the way can read. To this one they always may."""

    proxy: str = "system"
    """`system`: what HTTPS_PROXY and NO_PROXY say, else the system's settings. `none`. Or `http://host:port`."""

    fail_fast: bool = False
    """Leave with an error instead of retrying registration for ever (for CI)."""

    log_level: str = "INFO"

    tool_timeout: timedelta = timedelta(minutes=10)
    """Upper limit for one tool call; a skill may ask for less."""

    tool_output_limit_bytes: int = 30_000
    """How much of a tool's output the model reads. The whole is kept in the workspace."""

    context_limit_tokens: int = 100_000
    """How much of a conversation the model is given. What is older becomes a summary before it is reached."""

    home_lost_after: timedelta = timedelta(minutes=5)
    """How long an execution waits for the machine that holds its workspace."""

    single_execution: bool = False
    """Leave after one execution. A queue may ask for the same."""

    single_execution_wait: timedelta = timedelta(minutes=30)
    """Then: how long to wait for the execution, or for its user."""

    model_timeout: timedelta = timedelta(minutes=30)
    """One attempt of a model call, its whole stream."""

    model_wait: timedelta = timedelta(minutes=10)
    """How long one model call waits, all in all, for a gateway that asks for fewer requests or is overloaded."""

    model_attempts: int = 6
    """Of a model call that the gateway refused for the moment, or broke off. What cannot help is not tried again."""

    tool_attempts: int = 10
    """Of a tool call that did not come to its effect: a call that may have had one is never repeated."""

    claude_code_fallback: ClaudeFallback = "fail"
    """What becomes of an execution that asks for the runtime `claude_code` where that is not installed."""

    approvals: ApprovalMode = "ask"
    """What becomes of calls that the policy says to ask about. `deny` or `allow` where nobody can be asked."""

    approval_timeout: timedelta = timedelta(minutes=10)
    """How long a call waits for its approval; then it is denied."""

    remote_approvals: bool = False
    """Whether the control plane may allow, too: a call, or all like it in an execution. It may always deny, and never
    writes rules."""

    enforcer: bool = False
    """Ask the control plane's enforcer about each call, after the policy of this machine."""

    enforcer_required: bool = False
    """Deny where the enforcer does not answer. Off: such calls are decided without it."""
    workspace_kept: timedelta = timedelta(days=7)
    """How long the workspace of an execution stays after its end."""

    keep_failed_workspaces: bool = False
    """Workspaces of failed executions stay until somebody removes them (`kubiya-worker purge`, or by hand)."""

    sandbox: SandboxName = "auto"
    """What isolates tool processes. `auto`: the one for this system."""

    require_sandbox: RequireSandbox = "ask"
    """Where no sandbox works. `always`: tools are not started. `never`: they run without. `ask`: somebody is asked
    once; where nobody is there, they run without and the log says so."""

    sandbox_image: str = "python:3.13-slim"
    """Image of the sandbox `container`."""

    sandbox_readable: tuple[Path, ...] = ()
    """Files and folders that sandboxed tools may read besides the system's programs."""

    git_author: str = ""
    """Whose name stands in commits that tools make: `Name <address>`, or `owner`, whom this machine's git names. Empty:
    nobody's, so that git refuses to commit."""

    network: NetworkName = "on"
    """What sandboxed tools reach. `on`: public hosts over HTTP, and over HTTPS at port 443 and `network_ports`.
    `allow-list`: of these, `network_allow`.
    `host`: this machine's own network, unfiltered."""

    network_allow: tuple[str, ...] = ()
    """`example.com`, `*.example.com`, `example.com:8443`."""

    network_ports: tuple[int, ...] = ()
    """Ports at which HTTPS is spoken besides 443, for the network `on`. In `network_allow` a host names its own."""

    mcp_hosts: tuple[str, ...] = ()
    """MCP servers of your own that `network` would refuse: `localhost:3000`, `tools.corp.example`."""

    tool_cpu_time: timedelta = timedelta(minutes=30)
    """Processor time of one tool call, all its processes together."""

    tool_memory_mb: int = 4096
    """Memory of one tool call."""

    tool_processes: int = 512
    """Processes and threads of one tool call."""

    tool_open_files: int = 4096
    """Of each process of a tool call."""

    tool_file_mb: int = 2048
    """The largest file that a tool may write."""

    workspace_mb: int = 5120
    """What an execution's workspace may hold; a tool that fills it further is ended."""

    workspace_files: int = 1_000_000
    """Files and folders that it may hold."""

    def __post_init__(self) -> None:
        _check(self)


def load(*, environ: Mapping[str, str], flags: Mapping[str, Any] | None = None, file: Path | None = None) -> Settings:
    """Settings from the file, the environment and the flags, in rising order of strength.

    Args:
        environ: usually `os.environ`. `LITELLM_API_KEY` is read from here.
        flags: field name -> value; None and empty tuples mean "not given".
        file: TOML file; one that does not exist counts as empty.

    Raises:
        ConfigurationError: a value is not valid; the sentence names where it came from.
    """
    settings = Settings(llm_api_key=read_key(environ.get("LITELLM_API_KEY", ""), name="LITELLM_API_KEY"))
    if file is not None:
        settings = _merge(settings, _read_file(file), where=lambda key: f"`{key}` in {file}")
    from_environment = {name: environ[name] for name in ENVIRONMENT if environ.get(name)}
    settings = _merge(
        settings,
        {ENVIRONMENT[name]: value for name, value in from_environment.items()},
        where=lambda key: next(name for name, target in ENVIRONMENT.items() if target == key),
    )
    given = {key: value for key, value in (flags or {}).items() if value is not None and value != ()}
    return _merge(settings, given, where=lambda key: FLAGS.get(key, f"--{key.replace('_', '-')}"))


def change(settings: Settings, name: str, value: Any) -> Settings:
    """`settings` with one field changed, given as in the file or as text.

    Raises:
        ConfigurationError: there is no such setting, or the value is not valid.
    """
    return _merge(settings, {name: value}, where=lambda key: key)


def _read_file(file: Path) -> dict[str, Any]:
    return parse(text_file.read(file, what="settings file")[0], file=file)


def parse(text: str, *, file: Path) -> dict[str, Any]:
    """What a settings file says.

    Raises:
        ConfigurationError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigurationError(f"The settings file {file} is not valid TOML: {error}.") from error


def _merge(settings: Settings, values: Mapping[str, Any], *, where: Any) -> Settings:
    known = {spec.name for spec in fields(Settings)} - {"llm_api_key"}
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            hint = " Secrets belong in the keychain: `kubiya-worker login`." if "key" in key else ""
            raise ConfigurationError(f"There is no setting named {where(key)}.{hint}")
        try:
            changes[key] = _convert(key, value)
        except ValueError as error:
            raise ConfigurationError(f"{where(key)} is {without_credentials(value)!r}; {error}.") from error
    try:
        return replace(settings, **changes)
    except ValueError as error:
        raise ConfigurationError(f"The settings do not fit: {error}.") from error


def _convert(key: str, value: Any) -> Any:
    match key:
        case "queue_ids":
            parts = value.split(",") if isinstance(value, str) else value
            if not isinstance(parts, list | tuple):
                raise ValueError("it must be a queue id or a list of them")
            return tuple(dict.fromkeys(str(part).strip() for part in parts if str(part).strip()))
        case "network_allow" | "mcp_hosts":
            from worker_core.network.reachable import check_entry

            return tuple(dict.fromkeys(map(check_entry, _list(value, of="hosts"))))
        case "network_ports":
            return tuple(dict.fromkeys(map(_port, _list(value, of="ports"))))
        case "sandbox_readable":
            return tuple(Path(one).expanduser().absolute() for one in _list(value, of="paths"))
        case _ if key in _DURATIONS:
            return read_duration(value)
        case _ if key in _COUNTS:
            return int(_number(value))
        case _ if key in _SWITCHES:
            return _boolean(value)
        case "proxy":
            return check_proxy(str(value))
        case "git_author":
            return check_git_author(str(value))
        case "ca_file":
            return Path(str(value)).expanduser()
        case "control_plane_url" | "llm_base_url":
            return str(value).rstrip("/")
        case _:
            return str(value)


_DURATIONS = (
    "heartbeat_interval",
    "drain_timeout",
    "tool_timeout",
    "home_lost_after",
    "workspace_kept",
    "single_execution_wait",
    "model_timeout",
    "model_wait",
    "tool_cpu_time",
    "approval_timeout",
)

_SWITCHES = (
    "fail_fast",
    "single_execution",
    "keep_failed_workspaces",
    "remote_approvals",
    "enforcer",
    "enforcer_required",
    "allow_http",
)

_COUNTS = (
    "model_attempts", "tool_attempts",
    "max_executions", "max_activities", "tool_output_limit_bytes", "context_limit_tokens", "tool_memory_mb",
    "tool_processes", "tool_open_files", "tool_file_mb", "workspace_mb", "workspace_files",
)  # fmt: skip


def _list(value: Any, *, of: str) -> list[str]:
    parts = value.split(",") if isinstance(value, str) else value
    if not isinstance(parts, list | tuple):
        raise ValueError(f"it must be a list of {of}")
    return [str(part).strip() for part in parts if str(part).strip()]


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        raise ValueError("ports are numbers from 1 to 65535")
    return int(text)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError("it must be a number")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise ValueError("it must be a number") from None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ValueError("it must be true or false")


def _check(settings: Settings) -> None:
    check_url("control_plane_url", settings.control_plane_url)
    if settings.llm_base_url:
        check_url("llm_base_url", settings.llm_base_url)
    choices = {
        "temporal_tls": TlsMode,
        "sandbox": SandboxName,
        "require_sandbox": RequireSandbox,
        "network": NetworkName,
        "approvals": ApprovalMode,
        "claude_code_fallback": ClaudeFallback,
    }
    for name, possible in choices.items():
        if (value := getattr(settings, name)) not in get_args(possible):
            raise ConfigurationError(f"{name} is {value!r}; it must be one of {', '.join(get_args(possible))}.")
    for name in _COUNTS:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ConfigurationError(f"{name} is {value}; it must be 1 or more.")
    for name in _DURATIONS:
        duration = getattr(settings, name)
        if duration is not None and duration <= timedelta(0):
            raise ConfigurationError(f"{name} is {duration.total_seconds():g} s; it must be more than 0.")
    if settings.ca_file is not None and not settings.ca_file.is_file():
        raise ConfigurationError(f"The certificate file {settings.ca_file} does not exist.")
    if settings.log_level.upper() not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
        raise ConfigurationError(
            f"log_level is {settings.log_level!r}; it must be DEBUG, INFO, WARNING, ERROR or CRITICAL."
        )
