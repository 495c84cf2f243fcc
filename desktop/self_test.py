"""`--self-test`: whether this copy of the program has what it needs; one line each. CI runs it on the frozen one."""

from __future__ import annotations

import importlib
import os
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

MODULES = (
    "worker_core.engine",
    "worker_core.agents.workflow",
    "worker_core.agents.activities",
    "worker_core.playground.server",
    "openai",
    "qasync",
    "desktop.app",
)


def self_test() -> int:
    """0: all is well."""
    failed = 0
    for name, check in _CHECKS.items():
        try:
            said = check()
        except Exception as error:  # noqa: BLE001 - every failure is a line
            failed += 1
            said = f"FAILED: {type(error).__name__}: {error}"
        print(f"{name}: {said}")  # noqa: T201
    return 1 if failed else 0


def _modules() -> str:
    for name in MODULES:
        importlib.import_module(name)
    return f"{len(MODULES)} loaded"


def _qt() -> str:
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    from PySide6.QtCore import qVersion
    from PySide6.QtGui import QGuiApplication
    from PySide6.QtWidgets import QApplication

    from desktop.tray.icons import icon
    from desktop.tray.picture import IconState, Picture

    _kept.append(QApplication.instance() or QApplication([]))
    image = icon(Picture(state=IconState.RUNNING), dark=False, template=False).pixmap(32, 32).toImage()
    if image.pixelColor(image.width() // 2, image.height() // 8).alpha() == 0:
        raise RuntimeError("an SVG icon came out empty")
    return f"{qVersion()} on {QGuiApplication.platformName()}"


_kept: list[object] = []


def _keychain() -> str:
    import asyncio

    from worker_core.secrets import KeyringStore, NoKeychain

    try:
        return asyncio.run(KeyringStore().name())
    except NoKeychain:
        return "none on this machine (the key comes from the environment)"


def _tls() -> str:
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if context.verify_mode is not ssl.CERT_REQUIRED:
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
            Path(folder).rmdir()
    return str(paths.state)


_CHECKS: dict[str, Callable[[], str]] = {
    "modules": _modules,
    "qt": _qt,
    "keychain": _keychain,
    "tls": _tls,
    "folders": _folders,
}
