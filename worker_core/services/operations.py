"""Installs, removes and steers a service, and says how it is."""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from worker_core import bundle
from worker_core.basics.console import window_flags
from worker_core.basics.files import write_private
from worker_core.basics.plain import one_line
from worker_core.basics.quick_dataclass import dataclass
from worker_core.errors import ConfigurationError, ExitCode, KubiyaError
from worker_core.paths import private_directory
from worker_core.sandbox.interpreter import interpreter_folders
from worker_core.secrets import Secret
from worker_core.services import systemd
from worker_core.services.system import KEYS_OF_SYSTEM, Command, Service, Verb, unseen_by_the_system

QUICK_SECONDS: Final = 60
STOP_SECONDS: Final = 24 * 3600
"""The service manager has a limit of its own, that of the drain."""

_SAID: Final = 300


class ServiceFailed(KubiyaError):
    """The service manager refused something."""


class NotInstalled(KubiyaError):
    """There is no such service."""

    exit_code = ExitCode.NOT_CONFIGURED


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """How a service is."""

    installed: bool
    running: bool = False
    state: str = ""
    """In the words of its system."""

    pid: int = 0
    restarts: int = 0
    said: str = ""
    """What the worker said last."""


def systemd_version() -> int:
    """Of the systemd that is there; 0: none."""
    if platform.system() != "Linux":
        return 0
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        return systemd.version_in(_run(("systemctl", "--version")).stdout)
    return 0


def program_words() -> tuple[str, ...]:
    """How this program is started anew, before its command."""
    beside = Path(sys.executable).with_name("kubiya-worker.exe" if os.name == "nt" else "kubiya-worker")
    if bundle.is_frozen():
        return (sys.executable,)
    return (str(beside),) if beside.is_file() else (sys.executable, "-m", "worker_core")


def install(service: Service, keys: Mapping[str, Secret]) -> None:
    """Write its files and tell the service manager; it is started with the next boot or log-on. Whatever was
    installed under its name is replaced.

    Args:
        service: what is written.
        keys: by the names of their credentials.

    Raises:
        ConfigurationError: it could not run like that; nothing was written.
        ServiceFailed: the service manager refused it.
    """
    _check_rights(service)
    if service.scope == "system":
        own = [Path(program_words()[0]), *interpreter_folders()]
        if why := unseen_by_the_system(own):
            raise ConfigurationError(
                f"{why} Install Kubiya Worker elsewhere, such as in /opt/kubiya-worker, or its service with --user."
            )
    if platform.system() == "Linux":
        _verify(service)
    try:
        if keys:
            private_directory(service.key_folder)
        for credential, key in keys.items():
            write_private(service.key_folder / credential, key.reveal().encode(), durable=True)
        for file in service.files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            write_private(file.path, file.content, durable=True, mode=file.mode)
            file.path.chmod(file.mode)
    except OSError as error:
        raise ServiceFailed(
            f"{error.filename or service.main_file} cannot be written ({error.strerror or error})."
        ) from error
    command(service, "install")


def uninstall(service: Service, *, purge: bool = False) -> list[Path]:
    """Stop it and remove what `install` wrote.

    Args:
        service: the one.
        purge: remove its own state as well, and with the last one the user of the system's services.

    Returns:
        What was removed.

    Raises:
        NotInstalled: it is not there.
        ServiceFailed: the service manager refused it; nothing was removed.
    """
    _check_rights(service)
    if not service.main_file.exists() and not service.key_folder.exists():
        raise NotInstalled(f"There is no service {service.label} to remove.")
    command(service, "uninstall", anyway=not service.main_file.exists())
    others = _others(service)
    own = [*(file.path for file in service.files if not (file.shared and others)), service.key_folder]
    removed = [path for path in own if _remove(path)]
    for folder in (KEYS_OF_SYSTEM, service.key_folder.parent):
        with contextlib.suppress(OSError):
            folder.rmdir()
    command(service, "forget")
    if purge and service.state is not None:
        if _remove(service.state):
            removed.append(service.state)
        if not others:
            _run(("userdel", systemd.USER))
    return removed


def command(service: Service, verb: Verb, *, anyway: bool = False) -> None:
    """Carry out a verb. `anyway`: whatever the service manager says.

    Raises:
        NotInstalled: it is not there.
        ServiceFailed: the service manager refused it.
    """
    if verb in {"start", "stop", "restart"}:
        _check_rights(service)
        if not service.main_file.exists():
            raise NotInstalled(f"There is no service {service.label}. Install it: kubiya-worker service install.")
    for one in service.commands[verb]:
        done = _run(one, seconds=STOP_SECONDS)
        if done.returncode != 0 and not anyway and one not in service.may_fail:
            raise ServiceFailed(f"`{' '.join(one)}` failed: {_words(done, service)}")


def state_of(service: Service) -> ServiceState:
    """How it is. Raises ServiceFailed: the service manager does not answer."""
    if not service.main_file.exists():
        return ServiceState(installed=False)
    done = _run(service.status)
    if service.status[0] != "systemctl":
        said = one_line(done.stdout, _SAID)
        running = done.returncode == 0 and any(word in done.stdout for word in ("state = running", "Running"))
        return ServiceState(installed=True, running=running, state="running" if running else "not running", said=said)
    if done.returncode != 0:
        raise ServiceFailed(f"`{' '.join(service.status)}` failed: {_words(done, service)}")
    found = dict(line.partition("=")[::2] for line in done.stdout.splitlines())
    result = found.get("Result", "")
    words = [found.get("ActiveState", ""), found.get("SubState", ""), *([result] if result != "success" else [])]
    return ServiceState(
        installed=True,
        running=found.get("ActiveState") == "active",
        state=", ".join(filter(None, words)),
        pid=int(found.get("MainPID") or 0),
        restarts=int(found.get("NRestarts") or 0),
        said=one_line(found.get("StatusText", ""), _SAID),
    )


def _verify(service: Service) -> None:
    """Have systemd read the unit before it is anywhere."""
    with tempfile.TemporaryDirectory(prefix="kubiya-unit-") as folder:
        file = Path(folder) / service.main_file.name
        file.write_bytes(next(one.content for one in service.files if one.path == service.main_file))
        try:
            done = _run(
                ("systemd-analyze", "verify", f"--{service.scope}", "--man=no", str(file)),
                XDG_RUNTIME_DIR=os.environ.get("XDG_RUNTIME_DIR", folder),
            )
        except ServiceFailed:
            return  # it is a package of its own on some systems
    if service.main_file.name in done.stderr:  # not where it could not look, or complains of others
        raise ConfigurationError(
            f"systemd would not take the unit: {_words(done, service)} Nothing was written. Please report it."
        )


def _check_rights(service: Service) -> None:
    if service.scope == "system" and sys.platform != "win32" and os.geteuid() != 0:
        raise ConfigurationError(
            "A service of the system is root's to change: repeat it with sudo, or use --user for one of your own."
        )


def _others(service: Service) -> bool:
    """Whether there are more services of ours for all users."""
    found = service.main_file.parent.glob("kubiya-worker*.service")
    return any(path != service.main_file for path in found)


def _remove(path: Path) -> bool:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return not path.exists()
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _run(words: Command, *, seconds: float = QUICK_SECONDS, **variables: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=seconds,
            check=False, env={**os.environ, **variables}, creationflags=window_flags(),
        )  # fmt: skip
    except OSError as error:
        raise ServiceFailed(f"`{words[0]}` cannot be started ({error.strerror or error}).") from error
    except subprocess.TimeoutExpired as error:
        raise ServiceFailed(f"`{' '.join(words)}` did not end within {seconds:g} s.") from error


def _words(done: subprocess.CompletedProcess[str], service: Service) -> str:
    said = one_line(done.stderr or done.stdout, _SAID) or f"it ended with {done.returncode}"
    hint = ""
    if service.scope == "user" and not os.environ.get("XDG_RUNTIME_DIR") and platform.system() == "Linux":
        hint = " XDG_RUNTIME_DIR is not set: log in as this user, or allow it to linger (loginctl enable-linger)."
    return f"{said.rstrip('.')}.{hint}"
