"""`--self-test`: whether this copy of the program has what it needs. CI runs it on the frozen ones."""

from __future__ import annotations

import importlib
import json
import platform
import shutil
import signal
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from worker_core import bundle
from worker_core.basics.quick_dataclass import dataclass

Check = Callable[[], str]
"""Says what it found; what it raises is a failure."""

MODULES: Final = (
    "worker_core.engine.engine",
    "worker_core.agents.workflows.workflow",
    "worker_core.agents.activities.steps",
    "worker_core.playground.server",
    "keyring",
    "mcp.client.session",
    "worker_core.model.gateway",
    "worker_core.status_server.server",
    "reportlab.pdfgen.canvas",
    "rich.console",
)
_CHILD_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """What came of one check."""

    check: str
    ok: bool
    said: str


def run(checks: Mapping[str, Check], *, as_json: bool = False) -> int:
    """Make all checks and print a line for each. 0: all is well."""
    return told(list(made(checks)), as_json=as_json)


def made(checks: Mapping[str, Check]) -> Iterator[Tested]:
    """Make one after the other."""
    for name, check in checks.items():
        try:
            yield Tested(check=name, ok=True, said=check())
        except Exception as error:  # noqa: BLE001 - every failure is a line
            yield Tested(check=name, ok=False, said=f"{type(error).__name__}: {error}")


def told(found: Sequence[Tested], *, as_json: bool) -> int:
    """Print a line for each. 0: all is well."""
    if as_json:
        print(json.dumps([asdict(one) for one in found]))  # noqa: T201
    else:
        for one in found:
            print(f"{one.check}: {'' if one.ok else 'FAILED: '}{one.said}")  # noqa: T201
    return 0 if all(one.ok for one in found) else 1


def loads(modules: tuple[str, ...]) -> str:
    for name in modules:
        importlib.import_module(name)
    return f"{len(modules)} loaded"


def _keychain() -> str:
    import asyncio

    from worker_core.secrets import KeyringStore, NoKeychain

    try:
        return asyncio.run(KeyringStore().name())
    except NoKeychain:
        return "none on this machine (the key comes from the environment)"


def _tls() -> str:
    from worker_core.network.http import tls_context

    if tls_context("https://").verify_mode is not ssl.CERT_REQUIRED:
        raise RuntimeError("certificates would not be checked")
    return ssl.OPENSSL_VERSION


def _folders() -> str:
    from worker_core.paths import Paths, private_directory

    paths = Paths.from_environment()
    for folder in (paths.config, paths.state, paths.runtime, paths.logs):
        existed = folder.exists()
        with tempfile.NamedTemporaryFile(dir=private_directory(folder)):
            pass
        if not existed and not any(folder.iterdir()):
            folder.rmdir()
    paths.have_temporary()  # the checks after this one need a folder, as a worker does
    return str(paths.state)


def _children() -> str:
    """The Python that tools run in, with what they may import, and the file tools' own program."""
    from worker_core.sandbox.interpreter import files_command, interpreter_path
    from worker_core.tools import page

    python = interpreter_path()
    if python is None:
        raise RuntimeError("there is no Python for the tools")
    said = _said_by([python, "-I", "-c", "import csv, sqlite3, statistics, platform; print(platform.python_version())"])
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "here").write_text("1")
        asked = {
            "root": folder,
            "roots": [[folder, True]],
            "operation": "list_files",
            "arguments": {"path": ".", "recursive": False},
            "seconds": 5,
        }
        if "here" not in _said_by(files_command(python), given=json.dumps(asked)):
            raise RuntimeError("the file tools' program does not answer")
    if "here" not in _said_by([python, "-I", "-S", "-c", page.program()], given='"https://page.test/"\n<p>here</p>'):
        raise RuntimeError("the program that reads pages does not answer")
    return f"Python {said.strip()}"


def _said_by(command: list[str], *, given: str = "") -> str:
    result = subprocess.run(
        command, input=given, capture_output=True, text=True, timeout=_CHILD_SECONDS, check=False, encoding="utf-8"
    )
    if result.returncode < 0:
        raise RuntimeError(f"{command[0]} was ended by {signal.Signals(-result.returncode).name}")
    if result.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {result.returncode}: {result.stderr[-300:]}")
    return result.stdout


def _sandbox() -> str:
    from worker_core.paths import Paths
    from worker_core.sandbox.choice import choose
    from worker_core.settings import Settings

    if bundle.is_frozen() and platform.system() == "Linux":
        from worker_core.sandbox import linux

        for program in linux.programs():  # the bundle's own may be one that is needed on another machine alone
            _said_by([program, "--version"])
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        paths = Paths(config=home / "config", state=home / "state", runtime=home / "run")
        choice = choose(Settings(require_sandbox="never"), paths)
        choice.close()
    return choice.reason


def _temporal() -> str:
    from worker_core.errors import KubiyaError
    from worker_core.playground.temporal_server import find_binary

    try:
        program = find_binary()
    except KubiyaError as error:
        return f"no playground: {error.sentence}"
    if shutil.which(str(program)) is None:
        raise RuntimeError(f"{program} cannot be run")
    return _said_by([str(program), "--version"]).strip()


CHECKS: Final[Mapping[str, Check]] = {
    "modules": lambda: loads(MODULES),
    "keychain": _keychain,
    "tls": _tls,
    "folders": _folders,
    "children": _children,
    "sandbox": _sandbox,
    "temporal": _temporal,
}
