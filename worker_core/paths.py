"""Every path the worker uses, decided once.

`KUBIYA_WORKER_HOME` moves them all below one folder (tests, portable installations, several workers of one user).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from worker_core.basics.files import NEW
from worker_core.basics.home import expanded
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.errors import ConfigurationError

APP_NAME = "kubiya-worker"
_WRITABLE_BY_OTHERS = 0o022


class UnsafeFolder(ConfigurationError):
    """Somebody else could have put there what the worker would believe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Folders of one installation. Nothing is created by asking for a path."""

    config: Path
    state: Path
    runtime: Path

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Paths:
        """Raises ConfigurationError: there is no folder that could be used."""
        if home := environ.get("KUBIYA_WORKER_HOME"):
            try:
                base = expanded(home)
            except ValueError as error:
                why = error.args[0] if error.args else ""
                said = worded("{called} is {value}; {why}.", called="KUBIYA_WORKER_HOME", value=repr(home), why=why)
                raise ConfigurationError(said) from error
            return cls(config=base / "config", state=base / "state", runtime=base / "run")
        try:
            config = platformdirs.user_config_path(APP_NAME, appauthor=False)
            state = platformdirs.user_state_path(APP_NAME, appauthor=False)
        except RuntimeError:
            raise ConfigurationError(
                worded(
                    "This user has no home folder to keep anything in: HOME is not set, and the system knows none. "
                    "Name a folder of the worker's own in KUBIYA_WORKER_HOME."
                )
            ) from None
        return cls(config=config, state=state, runtime=state / "run")

    def check(self) -> None:
        """Raise unless the folders are this user's, and others can write none of them: what stands there is believed.

        The state of an earlier version may be readable by others; it is closed to them. Windows keeps these folders
        in the user's profile, which has rights of its own.

        Raises:
            UnsafeFolder: with what to do about it.
        """
        for folder in (self.config, self.state, self.runtime, self.approvals, self.journal, self.workspaces):
            with contextlib.suppress(OSError):  # whoever needs it makes it, or says why not
                _check(folder)
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                if self.state.stat().st_mode & 0o077:
                    self.state.chmod(0o700)

    @property
    def settings_file(self) -> Path:
        return self.config / "config.toml"

    @property
    def services(self) -> Path:
        """What an installed service needs that its system does not keep."""
        return self.config / "services"

    @property
    def policy_file(self) -> Path:
        return self.config / "policy.toml"

    @property
    def price_file(self) -> Path:
        """What models cost where their gateway does not say."""
        return self.config / "prices.toml"

    @property
    def budget_file(self) -> Path:
        """What was spent."""
        return self.state / "budget" / "spent.sqlite"

    @property
    def checkouts(self) -> Path:
        """Which execution has a working copy of which repository."""
        return self.state / "checkouts"

    @property
    def approvals(self) -> Path:
        return self.state / "approvals"

    @property
    def held_calls(self) -> Path:
        """What its user is to be told after quiet hours."""
        return self.state / "held-calls"

    @property
    def answer_key(self) -> Path:
        """Of the codes that answers from elsewhere carry."""
        return self.state / "answer-key"

    @property
    def audit_file(self) -> Path:
        return self.state / "audit" / "audit.jsonl"

    @property
    def data_format_file(self) -> Path:
        """Which format all of this has."""
        return self.state / "data-format.json"

    @property
    def host_id_file(self) -> Path:
        return self.state / "host-id"

    @property
    def workspaces(self) -> Path:
        return self.state / "workspaces"

    @property
    def mcp_servers(self) -> Path:
        return self.state / "mcp-servers"

    @property
    def journal(self) -> Path:
        return self.state / "journal"

    @property
    def spool(self) -> Path:
        return self.state / "spool"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def worker_log(self) -> Path:
        return self.logs / "worker.log"

    def log_of(self, name: str) -> Path:
        """Of a worker that has a name of its own."""
        return self.logs / f"{name}.log" if name else self.worker_log

    def daemon_socket(self, name: str) -> Path:
        return self.runtime / f"daemon-{name}.sock"

    def launchd_log_of(self, label: str) -> Path:
        """What an agent of launchd prints before its worker has a log."""
        return self.logs / f"{label}.launchd.log"

    @property
    def desktop_log(self) -> Path:
        """Beside the worker's: two processes cannot share a file that is rotated."""
        return self.logs / "desktop.log"

    @property
    def preferences_file(self) -> Path:
        """Of the tray and its window."""
        return self.config / "desktop.json"

    @property
    def notifications_file(self) -> Path:
        return self.state / "notifications.jsonl"

    @property
    def without_sandbox_file(self) -> Path:
        """The answer of whoever was asked whether tools may run without a sandbox."""
        return self.state / "without-sandbox"

    @property
    def temporary(self) -> Path:
        """For temporary files where the system has no folder for them."""
        return self.state / "tmp"

    def have_temporary(self) -> str:
        """See to it that this process has a folder for temporary files.

        Returns:
            A sentence, where it is one of ours. Empty: the system has one.

        Raises:
            OSError: the system has none, and ours cannot be made.
        """
        from worker_core.basics import temporary  # most that ask for a path need no such folder

        return temporary.have_one(lambda: private_directory(self.temporary))

    @property
    def sandbox(self) -> Path:
        """What sandboxes need while they run."""
        return self.runtime / "sandbox"

    @property
    def playground(self) -> Path:
        return self.state / "playground"


def private_directory(path: Path) -> Path:
    """Create `path`, and each of its parents that is missing, for its owner alone, and return it.

    Raises:
        OSError: the folder cannot be made.
    """
    missing = []
    for folder in (path, *path.parents):
        if folder.is_dir():
            break
        missing.append(folder)
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    return path


def private_file(path: Path) -> Path:
    """Create `path`, empty and for its owner alone, where it is missing, and its folder; return it.

    Raises:
        OSError: it cannot be made.
    """
    private_directory(path.parent)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, NEW, 0o600))
    return path


def _check(folder: Path) -> None:
    found = folder.stat()
    if _not_ours(found):
        raise UnsafeFolder(
            worded(
                "The folder {folder} belongs to {user}, so what stands in it cannot be believed. Take it over "
                "(chown -R), or name another folder in KUBIYA_WORKER_HOME.",
                folder=str(folder),
                user=_user(found.st_uid),
            )
        )
    if sys.platform == "win32" or not found.st_mode & _WRITABLE_BY_OTHERS:
        return
    if not os.statvfs(folder).f_flag & os.ST_RDONLY:  # as Kubernetes mounts its configuration
        raise UnsafeFolder(
            worded(
                "Other users of this machine can write to the folder {folder}, so what stands in it cannot be "
                "believed. Look into it, then close it: {command}",
                folder=str(folder),
                command=f"chmod -R go-rwx {shlex.quote(str(folder))}",
            )
        )


def is_private(path: Path) -> bool:
    """Whether a file is this user's own, and nobody else could have written it. A link is not."""
    try:
        found = path.lstat()
    except OSError:
        return False
    if sys.platform == "win32":  # its folder decides: Python says 0o666 of every file that is not read-only
        return stat.S_ISREG(found.st_mode)
    return stat.S_ISREG(found.st_mode) and not _not_ours(found) and not found.st_mode & _WRITABLE_BY_OTHERS


def who_else_writes(path: Path, found: os.stat_result) -> str:
    """Who but this user could have written a file, as the beginning of a sentence; empty: nobody.

    Args:
        path: of the file, links followed.
        found: what the system says of it.

    """
    if sys.platform == "win32" or path == Path(os.devnull):
        return ""
    if _not_ours(found):
        return worded("{user}, whose it is,", user=_user(found.st_uid))
    return worded("Other users of this machine") if others_may_write(path, found) else ""


def others_may_write(path: Path, found: os.stat_result) -> bool:
    """Whether a file's rights let others than its owner write it. Arguments as those of `who_else_writes`."""
    if sys.platform == "win32":
        return False
    folder = path.parent.stat()
    by_all = found.st_mode & stat.S_IWOTH and folder.st_mode & stat.S_IXOTH
    by_group = found.st_mode & stat.S_IWGRP and folder.st_mode & stat.S_IXGRP and not _is_own_group(found.st_gid)
    return bool(by_all or by_group) and not os.statvfs(path).f_flag & os.ST_RDONLY


def _is_own_group(number: int) -> bool:
    """Whether it is the group that holds this user alone, as most distributions make one for each."""
    if sys.platform != "win32":
        import grp
        import pwd

        with contextlib.suppress(KeyError):
            user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
            return (group.gr_name, number) == (user.pw_name, user.pw_gid) and set(group.gr_mem) <= {user.pw_name}
    return False


def _not_ours(found: os.stat_result) -> bool:
    """Root is trusted: it can do everything anyway."""
    return sys.platform != "win32" and found.st_uid not in {0, os.geteuid()}


def _user(number: int) -> str:
    if sys.platform != "win32":
        import pwd

        with contextlib.suppress(KeyError):
            return pwd.getpwuid(number).pw_name
    return worded("user {number}", number=str(number))
