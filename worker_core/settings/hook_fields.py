"""The settings of hooks, as `fields.py` declares the others."""

# No `from __future__ import annotations`: the types of the fields are looked at.
from datetime import timedelta
from pathlib import Path

from worker_core.basics.command_line import command_line
from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.urls import webhook_url
from worker_core.settings.choices import HookFailure, NotifyFormat, answers_from, daily_hours
from worker_core.settings.declaration import Group, setting
from worker_core.settings.tool_fields import ToolSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings(ToolSettings):
    """The part of `Settings` that is about hooks."""

    hook_start: str = setting(
        "",
        Group.HOOKS,
        "At the start",
        "A program of yours and its arguments, before the worker registers.",
        reader=command_line,
    )
    """Program of yours, with its arguments, that runs before the worker registers. No shell."""

    hook_before_execution: str = setting(
        "",
        Group.HOOKS,
        "Before an execution",
        "A program of yours and its arguments.",
        reader=command_line,
        live=True,
    )
    """Program of yours that runs before an execution's first model call; not again where it moves to this machine."""

    hook_after_execution: str = setting(
        "",
        Group.HOOKS,
        "After an execution",
        "A program of yours and its arguments.",
        reader=command_line,
        live=True,
    )
    """Program of yours that runs when an execution has ended here. Nothing waits for it, and its failure is logged."""

    hook_drain: str = setting(
        "",
        Group.HOOKS,
        "When the worker leaves",
        "A program of yours and its arguments, while running turns end.",
        reader=command_line,
        live=True,
    )
    """Program of yours that runs when the worker begins to leave, beside the turns that end. Its failure is logged."""

    hook_timeout: timedelta = setting(
        timedelta(minutes=1), Group.HOOKS, "Longest hook", "Then it is ended, with all that it started.", live=True
    )
    """How long a hook may run; then it is ended, with everything that it started."""

    hook_failure: HookFailure = setting(
        "fail",
        Group.HOOKS,
        "When a hook fails",
        "Fail: the worker does not start, or the execution fails. Ignore: the log says so.",
        live=True,
    )
    """What a failure of `hook_start` or `hook_before_execution` means. `fail`: the worker does not start, or the
    execution fails. `ignore`: the log says so."""

    notify_command: str = setting(
        "",
        Group.HOOKS,
        "Tell a program",
        "That something waits for an answer, or that an execution failed.",
        reader=command_line,
        live=True,
    )
    """Program of yours that hears that a tool call waits for an answer, or that an execution or the worker failed."""

    notify_webhook: str = setting(
        "",
        Group.HOOKS,
        "Tell a web address",
        "The same, by POST: https://…, or http:// of this machine.",
        reader=webhook_url,
        live=True,
    )
    """Web address that hears the same, as JSON by POST: `https://`, or `http://` of this machine."""

    notify_webhook_secret_file: Path | None = setting(
        None,
        Group.HOOKS,
        "Secret of the web address",
        "A file. What is sent is signed with it (HMAC-SHA256).",
    )
    """File of the secret that signs what the web address is sent (HMAC-SHA256). Tools do not see it."""

    notify_format: NotifyFormat = setting(
        "json",
        Group.HOOKS,
        "Form of what it is told",
        "JSON, or what a chat's incoming webhook takes.",
        live=True,
    )
    """What the web address is sent: `json` for a program of yours, or the form that the incoming webhooks of Slack,
    Teams or Discord, or a topic of ntfy, take."""

    notify_details: bool = setting(
        False,
        Group.HOOKS,
        "Tell what a call would do",
        "Its arguments go there, with what is known as a secret masked.",
        live=True,
    )
    """Whether program and web address are told what a call that waits would do: its arguments, with what is known as a
    secret masked."""

    notify_answers: str = setting(
        "",
        Group.HOOKS,
        "Answers from there",
        "command: what your program prints. Or an address to read them from.",
        reader=answers_from,
        live=True,
    )
    """Where answers may come from: `command` takes what `notify_command` prints; an address (`https://…`) is read while
    something waits, as a topic of ntfy is. A denial counts; an allowance from an address only with `remote_approvals`,
    `notify_details` and a signature."""

    notify_quiet: str = setting(
        "",
        Group.HOOKS,
        "Quiet hours",
        "22:00-07:00 by this machine's clock. What still waits is told afterwards.",
        reader=daily_hours,
        live=True,
    )
    """Hours in which neither program nor web address is told anything: `22:00-07:00`, by this machine's clock. What
    still waits afterwards, and what failed, is told in one message."""
