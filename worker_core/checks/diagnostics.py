"""What a bug report needs, as texts that a person can read first. Nothing here sends anything.

Every text goes through the redactor once more, whatever masked it before, and the user's home folder becomes `~`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from worker_core import __version__
from worker_core.basics.files import write_private
from worker_core.basics.home import home_folder
from worker_core.basics.sentences import in_english, worded
from worker_core.bundle import is_frozen
from worker_core.checks.check import Check
from worker_core.errors import KubiyaError
from worker_core.logs.declared import names_a_secret, secrets_in
from worker_core.logs.redaction import Redactor
from worker_core.paths import Paths
from worker_core.settings import SETTINGS
from worker_core.snapshot import EngineSnapshot

LONGEST_BYTES: Final = 1_000_000
"""Of one text: its end is kept."""

CRASHES: Final = 5
"""The newest reports."""

PACKAGES: Final = (
    "temporalio", "httpx2", "msgspec", "psutil", "keyring", "mcp", "claude-agent-sdk", "PySide6_Essentials",
    "qasync",
)  # fmt: skip

_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")

Texts = dict[str, str]
"""File name in the bundle -> its text, masked, in the order in which they are shown."""


def redactor_of(environ: Mapping[str, str]) -> Redactor:
    """A redactor that knows what looks like a secret in an environment, and the passwords of its proxies."""
    redactor = Redactor()
    redactor.add(*secrets_in(environ))
    for name, value in environ.items():
        if name.upper() in _PROXIES and "//" not in value:
            redactor.add(*secrets_in({name: f"http://{value}"}))
    return redactor


def collect(
    paths: Paths,
    *,
    environ: Mapping[str, str],
    redactor: Redactor,
    checks: Iterable[Check],
    snapshot: EngineSnapshot | None = None,
) -> Texts:
    """All texts of a bundle.

    Args:
        paths: of this installation.
        environ: only names and values of settings are taken from it.
        redactor: masks every text.
        checks: what an examination found.
        snapshot: of the worker in this process; by default those that run on this machine are asked.
    """
    parts: dict[str, Callable[[], str]] = {
        "system.txt": _system,
        "checks.txt": partial(_checks, checks),
        "settings.toml": partial(_end, paths.settings_file),
        "environment.txt": partial(_environment, environ),
        "policy.toml": partial(_end, paths.policy_file),
        "preferences.json": partial(_end, paths.preferences_file),
        "worker.json": partial(_worker, paths, snapshot),
        "audit.txt": partial(_audit, paths),
    }
    with contextlib.suppress(OSError):
        for file in sorted(paths.logs.glob("*.log")):
            parts[f"logs/{file.name}"] = partial(_end, file)
        for file in sorted(paths.logs.glob("crash-2*.txt"))[-CRASHES:]:
            parts[f"crashes/{file.name}"] = partial(_end, file)
    home = str(home_folder() or "")
    found: Texts = {}
    for name, read in parts.items():
        try:
            text = read()
        except Exception as error:  # noqa: BLE001 - the rest is worth having
            text = f"(It could not be read: {type(error).__name__}.)\n"
        if text:
            found[name] = redactor.mask(text.replace(home, "~") if len(home) > 1 else text)[-LONGEST_BYTES:]
    return found


def write_bundle(file: Path, texts: Texts) -> None:
    """A ZIP file that its owner alone can read; it appears whole or not at all.

    Raises:
        KubiyaError: it cannot be written.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in texts.items():
            bundle.writestr(f"kubiya-worker-diagnostics/{name}", text)
    try:
        write_private(file, content.getvalue(), durable=False)
    except OSError as error:
        raise KubiyaError(
            worded(
                "{file} cannot be written: {why}. Choose another place.",
                file=str(file),
                why=str(error.strerror or error),
            )
        ) from error


def _system() -> str:
    import psutil

    from worker_core.machine.memory import memory

    there = memory()
    now = datetime.now().astimezone()
    facts = {
        "Kubiya Worker": f"{__version__}{' (frozen)' if is_frozen() else ''}",
        "Time": f"{now.astimezone(UTC).isoformat(timespec='seconds')}, zone {now.tzname()}",
        "System": platform.platform(),
        "Machine": f"{platform.machine()}, {os.cpu_count()} processors, {there.total_bytes / 1e9:.1f} GB",
        "Memory in use": f"{there.percent:.0f} %",
        "Up since": datetime.fromtimestamp(psutil.boot_time(), UTC).isoformat(timespec="seconds"),
        "Python": f"{platform.python_version()} ({sys.platform})",
        "Session": " ".join(
            filter(None, (os.environ.get(name, "") for name in ("XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "LANG")))
        ),
    }
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            facts[package] = metadata.version(package)
    return "".join(f"{name}: {value}\n" for name, value in facts.items())


def _checks(checks: Iterable[Check]) -> str:
    lines = []
    for check in checks:
        lines.append(f"{check.verdict:4}  {check.name}: {check.sentence}")
        if check.repair and check.verdict in {"warn", "fail"}:
            lines.append(f"      {check.repair}")
    return "".join(f"{line}\n" for line in lines)


def _environment(environ: Mapping[str, str]) -> str:
    """Settings by their values, secrets by their names."""
    lines, variables = [], {one.variable for one in SETTINGS.values()}
    for name in sorted(environ):
        ours = name.startswith(("KUBIYA", "LITELLM")) or name in variables
        if names_a_secret(name):
            lines += [f"{name} is set"] if ours else []
        elif ours or name.upper() in _PROXIES:
            lines.append(f"{name}={environ[name]}")
    return "".join(f"{line}\n" for line in lines)


def _worker(paths: Paths, snapshot: EngineSnapshot | None) -> str:
    from worker_core.control_socket.client import running_workers

    found: list[object] = [] if snapshot is None else [snapshot]
    for worker in running_workers(paths.runtime) if snapshot is None else ():
        try:
            found.append(worker.status())
        except KubiyaError as error:
            found.append({"pid": worker.pid, "error": error.sentence})
    plain = in_english(msgspec.to_builtins(found, enc_hook=str))
    return json.dumps(plain, indent=2, ensure_ascii=False, default=str) + "\n" if found else ""


def _audit(paths: Paths) -> str:
    """Whether its chain holds; what was decided stays here."""
    from worker_core.policy.audit import verify

    return f"{verify(paths.audit_file)}\n" if paths.audit_file.exists() else ""


def _end(file: Path) -> str:
    """The end of a text file, from the beginning of a line; nothing where it does not exist."""
    try:
        with file.open("rb") as read:
            size = read.seek(0, os.SEEK_END)
            read.seek(max(0, size - LONGEST_BYTES))
            content = read.read(LONGEST_BYTES)
    except FileNotFoundError:
        return ""
    text = content.decode("utf-8", "replace")
    return text if size <= LONGEST_BYTES else text.partition("\n")[2]
