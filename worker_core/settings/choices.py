"""The words that some settings are chosen from, and how some are read: a ValueError goes on from "X is Y; "."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from worker_core.basics.home import expanded
from worker_core.basics.sentences import worded

TlsMode = Literal["auto", "on", "off"]
ApprovalMode = Literal["ask", "deny", "allow"]
SandboxName = Literal["auto", "bubblewrap", "landlock", "sandbox-exec", "restricted-token", "container", "none"]
RequireSandbox = Literal["ask", "always", "never"]
ClaudeFallback = Literal["fail", "default"]
NetworkName = Literal["off", "allow-list", "on", "host"]
HookFailure = Literal["fail", "ignore"]
NotifyFormat = Literal["json", "slack", "teams", "discord", "ntfy"]
LogLevel = Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]


def host(text: str) -> str:
    from worker_core.network.reachable import check_entry

    return check_entry(text)


def port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        raise ValueError(worded("ports are numbers from 1 to 65535"))
    return int(text)


def listening_port(value: object) -> int:
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.isdecimal() and int(text[:6]) < 65536):
        raise ValueError(worded("it must be a port, from 0 to 65535"))
    return int(text)


ANSWERS_BY_COMMAND = "command"
"""Of `notify_answers`: what `notify_command` prints."""


def answers_from(text: str) -> str:
    if text.strip().lower() == ANSWERS_BY_COMMAND:
        return ANSWERS_BY_COMMAND
    from worker_core.network.urls import webhook_url

    return webhook_url(text)


def daily_hours(text: str) -> str:
    from worker_core.basics.daily_hours import DailyHours

    return str(DailyHours.read(text))


LEVELS = ("files", "network", "processes", "privileges", "kernel", "limits")


def level(text: str) -> str:
    if text not in LEVELS:
        raise ValueError(worded("a sandbox is asked for {levels}", levels=", ".join(LEVELS)))
    return text


_GPU_WORDS = ("off", "auto", "all")
_GPU = re.compile(r"[0-9]{1,3}|gpu-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def read_gpus(text: str) -> str:
    """`off`, `auto`, `all`, or indices and UUIDs, in small letters and with commas alone between them."""
    parts = [part.strip().lower() for part in text.split(",") if part.strip()]
    if len(parts) == 1 and parts[0] in _GPU_WORDS:
        return parts[0]
    if any(part.startswith("mig-") for part in parts):
        raise ValueError(
            worded(
                "MIG-… is a part of a GPU, and whole ones alone are given: name its GPU. A call may choose the part "
                "(CUDA_VISIBLE_DEVICES)"
            )
        )
    if not parts or not all(map(_GPU.fullmatch, parts)):
        raise ValueError(
            worded("it must be off, auto, all, or numbers and UUIDs of GPUs (0,1 or GPU-…) with commas between them")
        )
    return ",".join(dict.fromkeys(str(int(part)) if part.isdecimal() else part for part in parts))


_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,61}[A-Za-z0-9])?=[ -~]{0,200}")
"""A name as Kubernetes' labels have, and a value on one line."""


def read_label(text: str) -> str:
    if _LABEL.fullmatch(text) is None:
        raise ValueError(worded("a label is NAME=VALUE, its name of letters, digits and . _ / - and at most 63 long"))
    return text


def path(text: str) -> Path:
    return expanded(text).absolute()
