"""`kubiya-worker purge`."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker_core import bundle
from worker_core.basics.console import window_flags
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sizes import size
from worker_core.cli.root import Examples
from worker_core.cli.situation import json_option, paths
from worker_core.cli.terminal import say
from worker_core.errors import KubiyaError

if TYPE_CHECKING:
    from worker_core.paths import Paths


_TRAY_SECONDS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Item:
    what: str
    path: Path
    bytes: int


@click.command(
    cls=Examples,
    help="""Remove everything that the worker keeps on this machine: settings, logs, workspaces of executions, events
    that could not be delivered yet, the policy, the audit log, the playground's data, the API key in the keychain, and
    the entry that starts the tray at login.

    It says what it is about to remove and asks. It refuses while a worker or a playground runs.""",
    examples=("kubiya-worker purge", "kubiya-worker purge --yes --json"),
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
def command(*, yes: bool, as_json: bool) -> int:
    from worker_core.cli import screen

    where = paths()
    _refuse_while_something_runs(where)
    items = _found(where)
    key_of = _key()
    tray = _tray()
    entry = tray is not None and _login_entry(tray, "--has-login-entry")
    if not items and key_of is None and not entry:
        _remove_empty_folders(where)
        if as_json:
            screen.say_json({"removed": [], "bytes": 0, "left": []})
        else:
            say("There is nothing to remove.")
        return 0
    if not as_json:
        _list(items, key_of, entry=entry)
    if not yes:
        if as_json or not sys.stdin.isatty():
            raise click.UsageError("There is nobody to ask: say --yes to remove it.")
        click.confirm("Remove all of this?", abort=True)
    left = [str(item.path) for item in items if not _remove(item.path)]
    _remove_empty_folders(where)
    key_removed = _forget_key(key_of) if key_of is not None else False
    entry_removed = tray is not None and entry and _login_entry(tray, "--remove-login-entry")
    removed = [item for item in items if str(item.path) not in left]
    if as_json:
        screen.say_json(
            {
                "removed": [str(item.path) for item in removed],
                "bytes": sum(item.bytes for item in removed),
                "key_removed": key_removed,
                "login_entry_removed": entry_removed,
                "left": left,
            }
        )
    else:
        say(f"Removed {size(sum(item.bytes for item in removed))}.")
    if entry and not entry_removed:
        left.append("the entry that starts the tray at login")
    if left:
        raise KubiyaError(f"Some of it could not be removed: {', '.join(left)}. Check who owns it, or uses it.")
    return 0


def _list(items: list[_Item], key_of: str | None, *, entry: bool) -> None:
    from worker_core.cli import screen

    rows: list[list[screen.Cell]] = [[item.what, size(item.bytes), str(item.path)] for item in items]
    if key_of is not None:
        rows.append(["API key", "", f"for {key_of}, in the keychain"])
    if entry:
        rows.append(["start at login", "", "the entry that starts the tray"])
    screen.table(screen.console(), ("WHAT", "SIZE", "WHERE"), rows)


def _found(where: Paths) -> list[_Item]:
    """What the worker made, by name: a folder that holds other things keeps them."""
    candidates = (
        ("settings", where.settings_file),
        ("tray preferences", where.preferences_file),
        ("policy", where.policy_file),
        ("prices", where.price_file),
        ("what was spent", where.budget_file.parent),
        ("working copies, by execution", where.checkouts),
        ("approvals", where.approvals),
        ("audit log", where.audit_file.parent),
        ("notifications", where.notifications_file),
        ("answer about the sandbox", where.without_sandbox_file),
        ("host id", where.host_id_file),
        ("format of the data", where.data_format_file),
        ("logs", where.logs),
        ("workspaces", where.workspaces),
        ("journal", where.journal),
        ("folders of MCP servers", where.mcp_servers),
        ("undelivered events", where.spool),
        ("playground", where.playground),
        ("runtime", where.runtime),
    )
    return [
        _Item(what=what, path=path, bytes=_size(path))
        for what, path in candidates
        if path.exists() or path.is_symlink()
    ]


def _size(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    total = 0
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                total += (Path(folder) / name).lstat().st_size
            except OSError:
                continue
    return total


def _remove(path: Path) -> bool:
    """Whether it is gone. A link is removed, never what it points to; what is read-only goes as well."""
    from worker_core.workspaces import anchored

    try:
        anchored.remove(path.parent, path.name)
    except OSError:
        return False
    return True


def _remove_empty_folders(where: Paths) -> None:
    for folder in (where.runtime, where.state, where.config, *_home()):
        with contextlib.suppress(OSError):
            folder.rmdir()


def _home() -> tuple[Path, ...]:
    home = os.environ.get("KUBIYA_WORKER_HOME")
    return (paths().config.parent,) if home else ()


def _refuse_while_something_runs(where: Paths) -> None:
    from worker_core.daemon.instances import instances
    from worker_core.machine.identity import process_named_in

    pids = ", ".join(str(one.pid) for one in instances(where.runtime))
    if pids:
        raise KubiyaError(f"A worker runs (pid {pids}); nothing was removed. Stop it first: `kubiya-worker stop`.")
    if (pid := process_named_in(where.playground / "temporal.pid")) is not None:
        raise KubiyaError(f"A playground runs (its Temporal server has pid {pid}); nothing was removed. End it first.")


def _tray() -> str | None:
    """The tray's program, where it is installed: it alone knows how this system starts things at login."""
    found = bundle.program("kubiya-worker-desktop")
    return None if found is None else str(found)


def _login_entry(tray: str, option: str) -> bool:
    """Ask the tray's program. Whether it said yes."""
    import subprocess

    try:
        done = subprocess.run(
            [tray, option], stdin=subprocess.DEVNULL, capture_output=True, timeout=_TRAY_SECONDS, check=False,
            creationflags=window_flags(),
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _key() -> str | None:
    """The control plane whose key the keychain holds; None where it holds none, or there is no keychain."""
    import asyncio

    from worker_core.cli.situation import load_settings
    from worker_core.secrets import KeyringStore, account_of

    try:
        url = load_settings().control_plane_url
        return account_of(url) if asyncio.run(KeyringStore().get(url)) else None
    except KubiyaError:
        return None


def _forget_key(url: str) -> bool:
    import asyncio

    from worker_core.secrets import KeyringStore

    return asyncio.run(KeyringStore().delete(url))
