"""systemd: a unit of the user or of the system, for the version that is there (systemd.service(5), systemd.exec(5)).

Which options leave the sandbox working was tried with bubblewrap 0.8, 0.11 and 0.12 on systemd 252 and 257: each option
is there with its reason, and so is each one that is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final, NamedTuple

from worker_core.services.plan import GOOD_ENDS, LABEL, NO_RESTART_AFTER, WATCHDOG, ServiceFile, ServicePlan
from worker_core.settings import SETTINGS

OLDEST: Final = 247
"""The first with `LoadCredential=`."""

USER: Final = LABEL
"""Who the system's services run as."""

SYSTEM_UNITS: Final = Path("/etc/systemd/system")
SYSUSERS: Final = Path("/etc/sysusers.d") / f"{LABEL}.conf"
STATES: Final = Path("/var/lib")


class _Option(NamedTuple):
    line: str
    since: int = OLDEST
    only: str = ""
    """`user` or `system`, where it is for one of them alone."""


_HARDENING: Final[tuple[tuple[str, tuple[_Option, ...]], ...]] = (
    (
        "Without a user namespace the user's systemd 252 would silently do without most of what follows.",
        (_Option("PrivateUsers=yes"),),
    ),
    (
        "No privileges, and no way to any. setuid files of the workspace do nothing under NoNewPrivileges.",
        (
            _Option("NoNewPrivileges=yes"),
            _Option("CapabilityBoundingSet="),
            _Option("LockPersonality=yes"),
            _Option("RestrictRealtime=yes"),
            _Option("KeyringMode=private", only="system"),
            _Option("UMask=0077"),
        ),
    ),
    (
        "Files: all is read-only but its own state, and the homes of people are not there.",
        (
            _Option("ProtectSystem=strict", only="system"),
            _Option("ProtectHome=yes", only="system"),
            _Option("PrivateTmp=yes", only="system"),
            _Option("PrivateDevices=yes", only="system"),
            _Option("PrivateMounts=yes", only="system"),
            _Option("PrivateIPC=yes", 248, only="system"),
            _Option("RemoveIPC=yes", only="system"),
        ),
    ),
    ("Files: programs and the system's settings are read-only.", (_Option("ProtectSystem=full", only="user"),)),
    (
        "The kernel's own: its settings, modules, log and clock; the processes of others.",
        (
            _Option("ProtectKernelTunables=yes"),
            _Option("ProtectKernelModules=yes"),
            _Option("ProtectKernelLogs=yes"),
            _Option("ProtectClock=yes"),
            _Option("ProtectProc=invisible", only="system"),
        ),
    ),
    (
        "bubblewrap makes its namespaces, and sets up its loopback over netlink.",
        (
            _Option("RestrictNamespaces=user mnt pid net ipc uts cgroup"),
            _Option("RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"),
        ),
    ),
    (
        "bubblewrap mounts, and names its host. What is refused answers EPERM, so that it can be told of.",
        (
            _Option("SystemCallArchitectures=native"),
            _Option("SystemCallFilter=@system-service @mount sethostname"),
            _Option("SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap @keyring"),
            _Option("SystemCallErrorNumber=EPERM"),
        ),
    ),
)

_LEFT_OUT: Final = (
    ("ProtectControlGroups=yes", "the worker counts and bounds tools in control groups below its own."),
    ("ProtectHostname=yes", "bubblewrap gives the sandbox a host name of its own."),
    ("ProcSubset=pid", "the worker reads its machine's load from /proc, and bubblewrap /proc/sys/kernel/overflowuid."),
    ("RestrictNamespaces=yes", "there would be no sandbox around tools."),
    ("RestrictSUIDSGID=yes", "bubblewrap 0.12 opens files with openat2, which it forbids; so does DynamicUser=."),
    ("DynamicUser=yes", "as RestrictSUIDSGID=; the user is made by sysusers.d instead."),
    ("MemoryDenyWriteExecute=yes", "Node compiles as it runs: MCP servers by npx, Claude Code."),
    ("MemoryMax=", "each tool call is bounded by itself (tool_memory_mb); of the whole, you know better."),
)


def version_in(said: str) -> int:
    """Of `systemctl --version`; 0: it says none."""
    found = re.match(r"systemd (\d+)", said)
    return int(found[1]) if found else 0


def unit_name(plan: ServicePlan) -> str:
    return f"{plan.label}.service"


def state_folder(plan: ServicePlan) -> Path:
    """Of a service of the system: settings, state and workspaces."""
    return STATES / plan.label


def unit(plan: ServicePlan, *, version: int) -> str:
    """The unit file, for this version of systemd and all later ones."""
    whose = "" if plan.scope == "system" else "--user "
    lines = [
        f"# Written by `kubiya-worker service install`. What you want otherwise: `systemctl {whose}edit {plan.label}`.",
        "[Unit]",
        f"Description=Kubiya Worker{f' ({_literal(plan.name)})' if plan.name else ''}",
    ]
    if plan.scope == "system":
        lines += ["Wants=network-online.target", "After=network-online.target"]
    lines += [
        "# However often it crashed: a worker that comes back is worth more than one that gave up.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *_life(plan, version),
        "",
        *_what(plan),
        "",
        *_walls(plan, version),
        "",
        "[Install]",
        f"WantedBy={'multi-user' if plan.scope == 'system' else 'default'}.target",
    ]
    return "\n".join(lines) + "\n"


def _life(plan: ServicePlan, version: int) -> Iterator[str]:
    yield "Type=notify"
    yield f"ExecStart={' '.join(map(_word, plan.program))}"
    yield "ExecReload=/bin/kill -HUP $MAINPID"
    yield "# Behind these exit codes, a restart would end the same: usage, configuration, key, queue."
    yield "Restart=on-failure"
    yield f"RestartPreventExitStatus={_numbers(NO_RESTART_AFTER)}"
    yield f"SuccessExitStatus={_numbers(GOOD_ENDS)}"
    yield "RestartSec=5"
    if version >= 254:
        yield "RestartSteps=6"
        yield "RestartMaxDelaySec=5min"
    yield "# Fed while its event loop turns and heartbeats come to an end; the log then says where it hung."
    yield f"WatchdogSec={_seconds(WATCHDOG)}"
    yield "TimeoutAbortSec=30"
    yield "# Running turns may end (drain_timeout), then it signs off. Tools are the worker's to end, not systemd's."
    yield f"TimeoutStopSec={_seconds(plan.stop_limit)}"
    yield "KillMode=mixed"
    yield "# A tool that took too much memory is a tool that failed, not a worker."
    yield "OOMPolicy=continue"
    yield "# It counts and bounds tools in control groups below its own."
    yield "Delegate=yes"
    yield "# The memory of a worker holds keys."
    yield "LimitCORE=0"


def _what(plan: ServicePlan) -> Iterator[str]:
    if plan.scope == "system":
        yield f"User={USER}"
        yield f"Group={USER}"
        yield f"StateDirectory={plan.label}"
        yield "StateDirectoryMode=0700"
        yield f"Environment=HOME=%S/{plan.label} KUBIYA_WORKER_HOME=%S/{plan.label}"
        yield f"WorkingDirectory=%S/{plan.label}"
    for name, text in plan.settings.items():
        yield f"Environment={_quoted(f'{SETTINGS[name].variable}={text}')}"
    if plan.keys:
        yield "# A copy is made when the service starts: after changing a key, restart it."
    for credential, file in plan.keys.items():
        yield f"LoadCredential={credential}:{_literal(str(file))}"


def _walls(plan: ServicePlan, version: int) -> Iterator[str]:
    for why, options in _HARDENING:
        chosen = [one.line for one in options if one.only in {"", plan.scope} and version >= one.since]
        if chosen:
            yield f"# {why}"
            yield from chosen
    yield "# Left out, since they would break what is inside:"
    for option, why in _LEFT_OUT:
        yield f"#   {option}: {why}"


def sysusers() -> ServiceFile:
    """The user of the system's services."""
    text = f'# Written by `kubiya-worker service install`.\nu {USER} - "Kubiya Worker" {STATES / LABEL}\n'
    return ServiceFile(path=SYSUSERS, content=text.encode(), shared=True)


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g}s"


def _numbers(codes: tuple[int, ...]) -> str:
    return " ".join(map(str, codes))


def _literal(text: str) -> str:
    """Without the meaning that systemd gives to a percent sign."""
    return text.replace("%", "%%")


def _quoted(text: str) -> str:
    escaped = _literal(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _word(text: str) -> str:
    """A word of a command line, where a dollar sign has a meaning as well."""
    plain = re.fullmatch(r"[A-Za-z0-9_@:,./=+-]+", text)
    return text if plain else _quoted(text.replace("$", "$$"))
