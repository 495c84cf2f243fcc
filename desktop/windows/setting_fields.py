"""The settings page's fields, made from the `Settings` dataclass: names, meanings, and how each is typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

from desktop.look.language import tr
from worker_core.basics.durations import duration_as_typed
from worker_core.secrets import Secret
from worker_core.settings import ApprovalMode, ClaudeFallback, NetworkName, RequireSandbox, SandboxName, Settings

Kind = Literal["text", "list", "number", "time", "file", "choice", "switch", "proxy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldText:
    """How one field is shown. `options` are the values of a choice."""

    group: str
    title: str
    meaning: str
    kind: Kind
    options: tuple[str, ...] = ()


def described() -> dict[str, FieldText]:
    """Every field but the secret ones, in the order of the page within its group."""
    work, network, models, tools, asking, isolation, limits, log = (
        tr("Work"),
        tr("Connection"),
        tr("Models"),
        tr("Tools and conversations"),
        tr("Approvals"),
        tr("Isolation of tools"),
        tr("Limits of a tool call"),
        tr("Logging"),
    )

    def field(group: str, title: str, meaning: str, kind: Kind, options: tuple[str, ...] = ()) -> FieldText:
        return FieldText(group=group, title=title, meaning=meaning, kind=kind, options=options)

    return {
        "queue_ids": field(work, tr("Queues"), tr("Queue ids to take work from, with commas between them."), "list"),
        "max_executions": field(work, tr("Executions at once"), tr("Empty: sized to this machine's memory."), "number"),
        "max_activities": field(
            work, tr("Model and tool calls at once"), tr("Per queue. Empty: sized to this machine."), "number"
        ),
        "drain_timeout": field(
            work, tr("Time to finish on stop"), tr("Running turns get this long before they are cancelled."), "time"
        ),
        "home_lost_after": field(
            work, tr("Wait for a lost machine"), tr("How long an execution waits for its workspace."), "time"
        ),
        "heartbeat_interval": field(
            work, tr("Heartbeat every"), tr("Empty: what the control plane says. At most 60 s."), "time"
        ),
        "fail_fast": field(work, tr("Give up when it cannot register"), tr("For CI. Off: try for ever."), "switch"),
        "control_plane_url": field(network, tr("Control plane"), tr("Its address."), "text"),
        "temporal_tls": field(
            network,
            tr("TLS to Temporal"),
            tr("Auto: on for cloud hosts and wherever a key is used."),
            "choice",
            ("auto", "on", "off"),
        ),
        "proxy": field(
            network,
            tr("Proxy"),
            tr("For the control plane, Temporal and the gateway. Never for this machine itself."),
            "proxy",
        ),
        "ca_file": field(
            network, tr("Certificate authorities"), tr("A PEM file with your organization's own authorities."), "file"
        ),
        "allow_http": field(
            network,
            tr("Keys over http://"),
            tr("To other machines, unencrypted: everybody on the way can read them."),
            "switch",
        ),
        "llm_base_url": field(
            models, tr("Model gateway"), tr("OpenAI-compatible address. Empty: what the control plane says."), "text"
        ),
        "default_model": field(models, tr("Default model"), tr("For executions that name none."), "text"),
        "model_override": field(models, tr("Model for everything"), tr("Whatever executions ask for."), "text"),
        "context_limit_tokens": field(
            models, tr("Conversation limit"), tr("Tokens; older parts become a summary before that."), "number"
        ),
        "git_author": field(
            tools,
            tr("Author of commits"),
            tr("Name <address>, or: owner, as this machine's git says. Empty: none."),
            "text",
        ),
        "tool_timeout": field(tools, tr("Longest tool call"), tr("A skill may ask for less."), "time"),
        "tool_output_limit_bytes": field(
            tools, tr("Output the model reads"), tr("Bytes per tool call; the whole stays in the workspace."), "number"
        ),
        "model_timeout": field(models, tr("Longest model call"), tr("One attempt, its whole stream."), "time"),
        "model_wait": field(
            models,
            tr("Longest wait for the gateway"),
            tr("In one model call, when it asks for fewer requests."),
            "time",
        ),
        "model_attempts": field(
            models, tr("Attempts of a model call"), tr("When the gateway refuses it for the moment."), "number"
        ),
        "tool_attempts": field(
            tools,
            tr("Attempts of a tool call"),
            tr("Of one without an effect so far; others are never repeated."),
            "number",
        ),
        "single_execution": field(work, tr("Leave after one execution"), tr("For CI."), "switch"),
        "single_execution_wait": field(
            work, tr("Wait for that execution"), tr("Or for its user, before the worker leaves."), "time"
        ),
        "workspace_kept": field(
            tools, tr("Keep workspaces"), tr("After an execution has ended, its files stay this long."), "time"
        ),
        "keep_failed_workspaces": field(
            tools, tr("Keep workspaces of failures"), tr("Until you remove them."), "switch"
        ),
        "sandbox": field(
            isolation,
            tr("Sandbox"),
            tr("What keeps tools from the rest of this machine. Auto: what this system has."),
            "choice",
            get_args(SandboxName),
        ),
        "require_sandbox": field(
            isolation,
            tr("Where no sandbox works"),
            tr(
                "Always: tools do not start. Never: they run without. Ask: a terminal asks once where none is "
                "installed; else tools do not start."
            ),
            "choice",
            get_args(RequireSandbox),
        ),
        "sandbox_image": field(isolation, tr("Container image"), tr("For the container sandbox."), "text"),
        "sandbox_readable": field(
            isolation, tr("More that tools may read"), tr("Files and folders, with commas between them."), "list"
        ),
        "network": field(
            isolation,
            tr("Network of tools"),
            tr("On: public hosts by HTTP(S). Allow-list: those named below. Host: this machine's network, unfiltered."),
            "choice",
            get_args(NetworkName),
        ),
        "network_allow": field(
            isolation, tr("Allowed hosts"), tr("Such as example.com, *.example.com or example.com:8443."), "list"
        ),
        "network_ports": field(
            isolation, tr("More ports of HTTPS"), tr("Besides 443, where the network is on: 8443, 9443."), "list"
        ),
        "claude_code_fallback": field(
            models,
            tr("Without Claude Code"),
            tr("What becomes of executions that ask for it where it is not installed."),
            "choice",
            get_args(ClaudeFallback),
        ),
        "approvals": field(
            asking,
            tr("Calls that the policy asks about"),
            tr("Ask: you decide. Deny or allow: where nobody can be asked."),
            "choice",
            get_args(ApprovalMode),
        ),
        "approval_timeout": field(asking, tr("Time to answer"), tr("After it, the call is denied."), "time"),
        "remote_approvals": field(
            asking, tr("Control plane may allow"), tr("It may always deny, and never writes rules."), "switch"
        ),
        "enforcer": field(
            asking, tr("Ask the enforcer"), tr("The control plane's, after the policy of this machine."), "switch"
        ),
        "enforcer_required": field(asking, tr("Deny without the enforcer"), tr("Where it does not answer."), "switch"),
        "mcp_hosts": field(
            isolation,
            tr("Your own MCP servers"),
            tr("Reached whatever the network setting says: localhost:3000."),
            "list",
        ),
        "tool_cpu_time": field(limits, tr("Processor time of a tool call"), tr("All its processes together."), "time"),
        "tool_memory_mb": field(limits, tr("Memory of a tool call"), tr("In megabytes."), "number"),
        "tool_processes": field(limits, tr("Processes of a tool call"), tr("Threads count as well."), "number"),
        "tool_open_files": field(limits, tr("Open files"), tr("Of each process."), "number"),
        "tool_file_mb": field(limits, tr("Largest file"), tr("That a tool may write, in megabytes."), "number"),
        "workspace_mb": field(
            limits, tr("Largest workspace"), tr("In megabytes; beyond it, a tool is ended."), "number"
        ),
        "workspace_files": field(limits, tr("Files in a workspace"), tr("Folders count as well."), "number"),
        "log_level": field(
            log,
            tr("Log level"),
            tr("How much is written."),
            "choice",
            ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        ),
    }


def option_text(option: str) -> str:
    """A choice's value for people; names of mechanisms and levels as they are."""
    return {
        "auto": tr("Auto"),
        "on": tr("On"),
        "off": tr("Off"),
        "none": tr("None"),
        "ask": tr("Ask"),
        "allow": tr("Allow"),
        "deny": tr("Deny"),
        "always": tr("Always"),
        "never": tr("Never"),
        "fail": tr("Fail"),
        "default": tr("Default runtime"),
        "host": tr("Host"),
        "allow-list": tr("Allow-list"),
    }.get(option, option)


def fallback(name: str) -> FieldText:
    """A field that nobody described yet is shown all the same."""
    default = Settings.__dataclass_fields__[name].default
    kind: Kind = "switch" if isinstance(default, bool) else "time" if isinstance(default, timedelta) else "text"
    return FieldText(group=tr("Other"), title=name.replace("_", " ").capitalize(), meaning="", kind=kind)


def shown_fields() -> dict[str, FieldText]:
    """All fields of `Settings` that hold no secret, group by group."""
    texts = described()
    names = [name for name in Settings.__dataclass_fields__ if not _is_secret(name)]
    ordered = [name for name in texts if name in names] + [name for name in names if name not in texts]
    found = {name: texts.get(name) or fallback(name) for name in ordered}
    groups = list(dict.fromkeys(text.group for text in found.values()))
    return dict(sorted(found.items(), key=lambda pair: groups.index(pair[1].group)))


def as_text(value: object) -> str:
    """A value as it is typed."""
    match value:
        case None:
            return ""
        case timedelta():
            return duration_as_typed(value)
        case tuple():
            return ", ".join(str(one) for one in value)
        case Path():
            return str(value)
        case _:
            return str(value)


def _is_secret(name: str) -> bool:
    return "Secret" in str(Settings.__dataclass_fields__[name].type) or isinstance(
        Settings.__dataclass_fields__[name].default, Secret
    )
