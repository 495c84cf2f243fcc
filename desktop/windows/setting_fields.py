"""The settings page's fields, made from the `Settings` dataclass: names, meanings, and how each is typed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Literal

from desktop.language import tr
from worker_core.secrets import Secret
from worker_core.settings import Settings

Kind = Literal["text", "list", "number", "seconds", "file", "choice", "switch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldText:
    """How one field is shown. `options` are the values of a choice."""

    group: str
    title: str
    meaning: str
    kind: Kind
    options: tuple[str, ...] = ()


def described() -> dict[str, FieldText]:
    """Every field but the secret ones, in the order of the page."""
    work, models, network, tools, log = (
        tr("Work"),
        tr("Models"),
        tr("Connection"),
        tr("Tools and conversations"),
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
            work, tr("Time to finish on stop"), tr("Running turns get this long before they are cancelled."), "seconds"
        ),
        "home_lost_after": field(
            work, tr("Wait for a lost machine"), tr("How long an execution waits for its workspace."), "seconds"
        ),
        "heartbeat_interval": field(
            work, tr("Heartbeat every"), tr("Empty: what the control plane says. At most 60 s."), "seconds"
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
        "ca_file": field(
            network, tr("Certificate authorities"), tr("A PEM file with your organization's own authorities."), "file"
        ),
        "llm_base_url": field(
            models, tr("Model gateway"), tr("OpenAI-compatible address. Empty: what the control plane says."), "text"
        ),
        "default_model": field(models, tr("Default model"), tr("For executions that name none."), "text"),
        "model_override": field(models, tr("Model for everything"), tr("Whatever executions ask for."), "text"),
        "context_limit_tokens": field(
            models, tr("Conversation limit"), tr("Tokens; older parts become a summary before that."), "number"
        ),
        "tool_timeout": field(tools, tr("Longest tool call"), tr("A skill may ask for less."), "seconds"),
        "tool_output_limit_bytes": field(
            tools, tr("Output the model reads"), tr("Bytes per tool call; the whole stays in the workspace."), "number"
        ),
        "log_level": field(
            log,
            tr("Log level"),
            tr("How much is written."),
            "choice",
            ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
        ),
    }


def fallback(name: str) -> FieldText:
    """A field that nobody described yet is shown all the same."""
    default = Settings.__dataclass_fields__[name].default
    kind: Kind = "switch" if isinstance(default, bool) else "seconds" if isinstance(default, timedelta) else "text"
    return FieldText(group=tr("Other"), title=name.replace("_", " ").capitalize(), meaning="", kind=kind)


def shown_fields() -> dict[str, FieldText]:
    """All fields of `Settings` that hold no secret."""
    texts = described()
    names = [name for name in Settings.__dataclass_fields__ if not _is_secret(name)]
    ordered = [name for name in texts if name in names] + [name for name in names if name not in texts]
    return {name: texts.get(name) or fallback(name) for name in ordered}


def as_text(value: object) -> str:
    """A value as it is typed."""
    match value:
        case None:
            return ""
        case timedelta():
            return f"{value.total_seconds():g}"
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
