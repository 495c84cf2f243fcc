"""The settings of tools and conversations, as `fields.py` declares the others: isolation, approvals and limits."""

# No `from __future__ import annotations`: the types of the fields are looked at.
from datetime import timedelta
from pathlib import Path

from worker_core.basics.git_author import check_git_author
from worker_core.basics.quick_dataclass import dataclass
from worker_core.settings.budget import Limit, read_limit
from worker_core.settings.call_limits import CallLimit, read_call_limit
from worker_core.settings.choices import (
    ApprovalMode,
    NetworkName,
    RequireSandbox,
    SandboxName,
    host,
    level,
    path,
    port,
    read_gpus,
)
from worker_core.settings.declaration import Group, setting
from worker_core.settings.folders import FolderGrant, read_grant


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSettings:
    """The part of `Settings` that is about tools."""

    git_author: str = setting(
        "",
        Group.TOOLS,
        "Author of commits",
        "Name <address>, or: owner, as this machine's git says. Empty: none.",
        reader=check_git_author,
        live=True,
    )
    """Whose name stands in commits that tools make: `Name <address>`, or `owner`, whom this machine's git names. Empty:
    nobody's, so that git refuses to commit."""

    tool_timeout: timedelta = setting(
        timedelta(minutes=10), Group.TOOLS, "Longest tool call", "A skill may ask for less.", live=True
    )
    """Upper limit for one tool call; a skill may ask for less."""

    tool_output_limit_bytes: int = setting(
        30_000,
        Group.TOOLS,
        "Output the model reads",
        "Bytes per tool call; the whole stays in the workspace.",
        live=True,
    )
    """How much of a tool's output the model reads, in bytes. The whole is kept in the workspace."""

    tool_attempts: int = setting(
        10,
        Group.TOOLS,
        "Attempts of a tool call",
        "Of one without an effect so far; others are never repeated.",
        live=True,
    )
    """Attempts of a tool call that did not come to its effect: a call that may have had one is never repeated."""

    workspace_kept: timedelta = setting(
        timedelta(days=7),
        Group.TOOLS,
        "Keep workspaces",
        "After an execution has ended, its files stay this long.",
        live=True,
    )
    """How long the workspace of an execution stays after its end."""

    keep_failed_workspaces: bool = setting(
        False, Group.TOOLS, "Keep workspaces of failures", "Until you remove them.", live=True
    )
    """Workspaces of failed executions stay until somebody removes them (`kubiya-worker purge`, or by hand)."""

    folders: tuple[FolderGrant, ...] = setting(
        (),
        Group.TOOLS,
        "Your folders",
        "That agents may use: ~/repo=worktree (a copy), ~/data=read-only or read-write, with commas between them.",
        reader=read_grant,
        live=True,
        table=True,
    )
    """Folders that agents may use, as `PATH=MODE`, or as a line of a table `[folders]` at the end of the file.
    `worktree`: a git repository, or a folder of them, that executions may ask to work in; each works in a copy, and you
    merge what it changed. `read-only` and `read-write`: the folder itself. Ids behind it say for which queues, agents
    or teams."""

    sandbox: SandboxName = setting(
        "auto",
        Group.ISOLATION,
        "Sandbox",
        "What keeps tools from the rest of this machine. Auto: what this system has.",
    )
    """What isolates tool processes. `auto`: the strongest for this system that works here."""

    require_sandbox: RequireSandbox = setting(
        "ask",
        Group.ISOLATION,
        "Where no sandbox works",
        "Always: tools do not start. Never: they run without. Ask: terminal and window ask once where none is "
        "installed; else tools do not start.",
    )
    """Where no sandbox works. `always`: tools are not started. `never`: they run without. `ask`: where none is
    installed, terminal and window ask once; else they are not started."""

    sandbox_enforces: tuple[str, ...] = setting(
        (),
        Group.ISOLATION,
        "What it must enforce",
        "Else tools do not start: files, network, processes, privileges, kernel, limits.",
        reader=level,
    )
    """What the sandbox must enforce, or it counts as one that fails: `files`, `network`, `processes`, `privileges`,
    `kernel`, `limits` (as `sandbox.enforces` of the snapshot says)."""

    sandbox_image: str = setting("python:3.13-slim", Group.ISOLATION, "Container image", "For the container sandbox.")
    """Image of the sandbox `container`."""

    sandbox_readable: tuple[Path, ...] = setting(
        (), Group.ISOLATION, "More that tools may read", "Files and folders, with commas between them.", reader=path
    )
    """Files and folders that sandboxed tools may read besides the system's programs."""

    gpu: str = setting(
        "off",
        Group.ISOLATION,
        "GPUs for tools",
        "Off, auto or all, or numbers and UUIDs: 0,1. Opens a driver of the kernel to them: see SECURITY.md.",
        reader=read_gpus,
        live=True,
    )
    """GPUs that commands and Python code of agents may use (bubblewrap, Landlock). `off`: none. `auto`: what is there.
    `all`: the same, and a call says where there is none. Or numbers and UUIDs, with commas between them: `0,1`."""

    gpu_for: tuple[str, ...] = setting(
        (),
        Group.ISOLATION,
        "Who gets GPUs",
        "Ids of queues, agents and teams, or skills such as python. Empty: whoever this worker works for.",
        live=True,
    )
    """Who gets them: ids of queues, agents and teams, types or names of skills. Empty: whoever this worker works for.
    Others see none."""

    gpu_calls: int | None = setting(
        None,
        Group.ISOLATION,
        "Calls with a GPU at once",
        "Others wait, and say so. Empty: no limit.",
        live=True,
    )
    """Tool calls that are given GPUs at the same time; others wait, and say so. Unset: no limit, since every command of
    whoever gets them counts, also one that needs none."""

    network: NetworkName = setting(
        "on",
        Group.ISOLATION,
        "Network of tools",
        "On: public hosts by HTTP(S). Allow-list: those named below. Host: this machine's network, unfiltered.",
    )
    """What sandboxed tools reach. `on`: public hosts over HTTP, and over HTTPS at port 443 and `network_ports`.
    `allow-list`: of these, `network_allow`.
    `off`: nothing. `host`: this machine's own network, unfiltered."""

    network_allow: tuple[str, ...] = setting(
        (), Group.ISOLATION, "Allowed hosts", "Such as example.com, *.example.com or example.com:8443.", reader=host
    )
    """Hosts for the network `allow-list`: `example.com`, `*.example.com`, `example.com:8443`."""

    network_ports: tuple[int, ...] = setting(
        (), Group.ISOLATION, "More ports of HTTPS", "Besides 443, where the network is on: 8443, 9443.", reader=port
    )
    """Ports at which HTTPS is spoken besides 443, for the network `on`. In `network_allow` a host names its own."""

    mcp_hosts: tuple[str, ...] = setting(
        (),
        Group.ISOLATION,
        "Your own MCP servers",
        "Reached whatever the network setting says: localhost:3000.",
        reader=host,
    )
    """MCP servers of your own that `network` would refuse: `localhost:3000`, `tools.corp.example`."""

    approvals: ApprovalMode = setting(
        "ask",
        Group.APPROVALS,
        "Calls that the policy asks about",
        "Ask: you decide. Deny or allow: where nobody can be asked.",
        live=True,
    )
    """What becomes of calls that the policy says to ask about. `deny` or `allow` where nobody can be asked."""

    approval_timeout: timedelta = setting(
        timedelta(minutes=10), Group.APPROVALS, "Time to answer", "After it, the call is denied.", live=True
    )
    """How long a call waits for its approval; then it is denied."""

    remote_approvals: bool = setting(
        False, Group.APPROVALS, "Control plane may allow", "It may always deny, and never writes rules.", live=True
    )
    """Whether the control plane may allow, too: a call, or all like it in an execution. It may always deny, and never
    writes rules."""

    enforcer: bool = setting(
        False,
        Group.APPROVALS,
        "Ask the enforcer",
        "The control plane's, after the policy of this machine.",
        variable="KUBIYA_ENFORCE_ENABLED",
        live=True,
    )
    """Ask the control plane's enforcer about each call, after the policy of this machine."""

    enforcer_required: bool = setting(
        False, Group.APPROVALS, "Deny without the enforcer", "Where it does not answer.", live=True
    )
    """Deny where the enforcer does not answer. Off: such calls are decided without it."""

    tool_cpu_time: timedelta = setting(
        timedelta(minutes=30), Group.LIMITS, "Processor time of a tool call", "All its processes together."
    )
    """Processor time of one tool call, all its processes together."""

    tool_memory_mb: int = setting(4096, Group.LIMITS, "Memory of a tool call", "In megabytes.")
    """Memory of one tool call, in megabytes."""

    tool_processes: int = setting(512, Group.LIMITS, "Processes of a tool call", "Threads count as well.")
    """Processes and threads of one tool call."""

    tool_open_files: int = setting(4096, Group.LIMITS, "Open files", "Of each process.")
    """Open files of each process of a tool call."""

    tool_file_mb: int = setting(2048, Group.LIMITS, "Largest file", "That a tool may write, in megabytes.")
    """The largest file that a tool may write, in megabytes."""

    tool_limits: tuple[CallLimit, ...] = setting(
        (),
        Group.LIMITS,
        "For one queue or skill",
        "Such as python.memory_mb=65536, shell.time=6h: instead of what holds for all calls.",
        metavar="LIMIT",
        reader=read_call_limit,
        live=True,
        table=True,
    )
    """What a tool call may use up in one queue or of one skill, instead of what holds for all, as `WHOSE.WHAT=AMOUNT`,
    or as a line of a table `[tool_limits]` at the end of the file. Whose: the id of a queue, or the type of a skill
    (`shell`, `python`). What: `memory_mb`, `processes`, `cpu_time`, `time` (how long it may take, also beyond what
    tools allow themselves). Where a queue and a skill have one, the smaller holds; a skill's own configuration can only
    narrow it."""

    workspace_mb: int = setting(5120, Group.LIMITS, "Largest workspace", "In megabytes; beyond it, a tool is ended.")
    """What an execution's workspace may hold, in megabytes; a tool that fills it further is ended."""

    workspace_files: int = setting(1_000_000, Group.LIMITS, "Files in a workspace", "Folders count as well.")
    """Files and folders that an execution's workspace may hold."""

    budget: tuple[Limit, ...] = setting(
        (),
        Group.BUDGET,
        "What may be spent",
        "Such as turn.tokens=200000, day.cost=5. Then the agent stops, and asks you for more.",
        metavar="LIMIT",
        reader=read_limit,
        live=True,
        table=True,
    )
    """What may be spent, as `SCOPE.WHAT=AMOUNT`, or as a line of a table `[budget]` at the end of the file. Scopes:
    `turn`, `execution`, `agent` (one agent on this machine in a day), `day` (all of them). What: `tokens`, `cost` (US
    dollars), `model_calls`, `tool_calls`, `wall_time` (of model and tool calls). Where one is reached, the agent stops
    and asks you for more."""
