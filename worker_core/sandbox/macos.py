"""macOS: `sandbox-exec` with a profile made for each workspace.

Apple calls the tool deprecated and keeps it working; the profile language is described nowhere officially. Rules that
come later win. Not run by us on a Mac yet: the text is tested, the effect is not.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from worker_core.network.reachable import Network, narrower
from worker_core.sandbox.gate import Gate
from worker_core.sandbox.gate import files as gate_files
from worker_core.sandbox.interpreter import files_child, interpreter_folders
from worker_core.sandbox.launcher import Command, Holds, on_loopback
from worker_core.sandbox.limits import kernel_limits
from worker_core.sandbox.walls import Walls, sandboxed_environment

PROGRAM = "/usr/bin/sandbox-exec"

_READABLE = (
    "/usr", "/bin", "/sbin", "/System", "/Library", "/opt/homebrew", "/opt/local", "/Applications/Xcode.app",
    "/private/etc", "/private/var/db/timezone", "/private/var/db/dyld", "/private/var/select",
)  # fmt: skip
_SECRET = ("/Library/Keychains", "/private/etc/master.passwd", "/private/etc/sudoers", "/private/etc/ssh")
_SERVICES = (
    "com.apple.system.opendirectoryd.libinfo", "com.apple.system.logger", "com.apple.system.notification_center",
    "com.apple.trustd", "com.apple.trustd.agent",
)  # fmt: skip
"""Mach services that ordinary programs need. Not securityd, the pasteboard, launchd or Apple events."""


class SandboxExec:
    """Starts commands through `sandbox-exec`."""

    name = "sandbox-exec"

    def __init__(self, *, walls: Walls, proxy_port: int | None = None, program: str = PROGRAM) -> None:
        """`proxy_port`: where the worker's proxy listens on 127.0.0.1."""
        self._walls = walls
        self._proxy_port = proxy_port
        self._program = program

    @property
    def enforces(self) -> frozenset[str]:
        held = {
            Holds.PROCESS_GROUP, Holds.ENVIRONMENT, Holds.FILES, Holds.PRIVILEGES, Holds.LIMITS, Holds.OWN_HOME,
        }  # fmt: skip
        return frozenset(held if self._walls.network is Network.HOST else held | {Holds.NETWORK})

    def door(self, port: int) -> str | None:
        return on_loopback(port) if self._walls.network is Network.HOST else None

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        policy = narrower(self._walls.network, network)
        port = self._proxy_port if policy in {Network.ON, Network.ALLOW_LIST} else None
        text = profile(
            writable=[
                workspace,
                *([] if command.home is None else [command.home]),
                *(one.path for one in command.folders if one.writable),
            ],
            readable=[
                *interpreter_folders(),
                *gate_files(),
                files_child(),
                *self._walls.readable,
                *filter(self._walls.may_show, command.readable),
                *(one.path for one in command.folders if not one.writable),
            ],
            hidden=self._walls.hidden,
            network=policy,
            proxy_port=port,
        )
        own = workspace / ".kubiya"
        variables = sandboxed_environment(
            command.environment, home=command.home or own / "home", tmp=str(own / "tmp"),
            proxy=None if port is None else f"http://127.0.0.1:{port}", keeps_proxies=policy is Network.HOST,
        )  # fmt: skip
        limits = command.limits or self._walls.limits
        gated = Gate(limits=kernel_limits(limits), folders=True).before(command, variables)
        return replace(
            gated,
            argv=[self._program, "-p", text, *gated.argv],
            limits=limits,
            workspace=workspace,
        )


def profile(
    *,
    writable: Sequence[Path],
    readable: Sequence[Path],
    hidden: Sequence[Path],
    network: Network,
    proxy_port: int | None,
) -> str:
    """The profile for one call.

    Args:
        writable: may be written, its links followed: the workspace, and a home that stays.
        readable: may be read besides the system.
        hidden: folders of the worker; only what is writable inside them is left open.
        network: what may be reached.
        proxy_port: the one port of 127.0.0.1 that may be connected to, with `on` and `allow-list`.

    """
    rules = [
        "(version 1)",
        "(deny default)",
        "(allow process-fork)",
        "(allow process-exec)",
        "(allow signal (target same-sandbox))",
        "(allow process-info* (target same-sandbox))",
        "(allow sysctl-read)",
        "(allow file-read-metadata)",
        f'(allow file-read* (literal "/") {_subpaths([*map(Path, _READABLE), *readable])})',
        '(allow file-read* file-write-data (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))',
        '(allow file-read* (literal "/dev/random") (literal "/dev/urandom") (subpath "/dev/fd"))',
        f"(deny file-read* {_subpaths([*map(Path, _SECRET), *hidden])})",
        f"(allow file-read* file-write* {_subpaths(writable)})",
        f"(allow mach-lookup {' '.join(f'(global-name {_quoted(name)})' for name in _SERVICES)})",
    ]
    if network is Network.HOST:
        rules += ["(allow network*)", "(allow system-socket)"]
    elif proxy_port is not None:
        # Its own servers, too: `localhost` is all that Seatbelt can name besides `*`.
        rules.append(f'(allow network-outbound (remote ip "localhost:{proxy_port}"))')
    return "\n".join(rules) + "\n"


def _subpaths(paths: Sequence[Path]) -> str:
    # The kernel compares real paths: /tmp is /private/tmp.
    texts = dict.fromkeys(text for path in paths for text in (str(path), os.path.realpath(path)))
    return " ".join(f"(subpath {_quoted(text)})" for text in texts)


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
