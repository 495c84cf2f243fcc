"""Panels that people have, each as its Debian package brings it, with no more in it than places for icons."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.desktop.session import Session
from tests.support.tray_host import LIMIT_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPanel:
    """How it is started. `CONFIGURATION` in an option is a file with what `configuration` says."""

    options: tuple[str, ...] = ()
    configuration: str = ""
    files: Mapping[str, str] = field(default_factory=dict)
    """What lies in the person's configuration folder, by name."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """What its desktop's session adds."""

    with_it: tuple[str, ...] = ()
    """Programs that its desktop starts before it."""

    package: str = ""
    """Debian's; empty: it is called as the program is."""


POLYBAR = """\
[bar/bar]
width = 100%
height = 30
bottom = true
modules-left = name
tray-position = right
[module/name]
type = custom/text
content = polybar
"""
LXQT = """\
[panel1]
background-color=#303446
plugins=statusnotifier
position=Bottom
panelSize=32
[statusnotifier]
type=statusnotifier
alignment=Right
"""
PLASMA_VERSION = "6" if shutil.which("kded6") else "5"
OF_PLASMA = (
    "battery", "bluetooth", "clipboard", "devicenotifier", "keyboardindicator", "keyboardlayout", "manage-inputmethod",
    "mediacontroller", "networkmanagement", "nightcolorcontrol", "notifications", "printmanager", "vault", "volume",
    "brightness", "cameraindicator", "weather",
)  # fmt: skip
"""Plasma's own in its tray: none of them is asked for, and none is new to it."""

PLASMA = f"""\
[Containments][2]
formfactor=2
lastScreen=0
location=4
plugin=org.kde.panel
[Containments][2][Applets][3]
plugin=org.kde.plasma.systemtray
[Containments][2][Applets][3][Configuration]
SystrayContainmentId=4
[Containments][4]
formfactor=2
lastScreen=0
location=4
plugin=org.kde.plasma.private.systemtray
[Containments][4][General]
extraItems=
knownItems={",".join(f"org.kde.plasma.{one}" for one in OF_PLASMA)}
showAllItems=true
"""

PANELS = {
    "tint2": RealPanel(),
    "trayer": RealPanel(
        options=("--edge", "bottom", "--align", "right", "--widthtype", "request", "--height", "28"),
    ),
    "stalonetray": RealPanel(
        options=("--geometry", "1x1-0-0", "--icon-size", "24", "--window-type", "dock", "--background", "#303446"),
    ),
    "xfce4-panel": RealPanel(options=("--disable-wm-check",)),
    "polybar": RealPanel(options=("--config=CONFIGURATION", "bar"), configuration=POLYBAR),
    "mate-panel": RealPanel(),
    "lxqt-panel": RealPanel(options=("--configfile", "CONFIGURATION"), configuration=LXQT),
    "plasmashell": RealPanel(
        options=("--no-respawn",),
        files={"plasma-org.kde.plasma.desktop-appletsrc": PLASMA, "kwalletrc": "[Wallet]\nEnabled=false\n"},
        # kded has the watcher of icons, in a full session of its own version alone.
        environment={"XDG_CURRENT_DESKTOP": "KDE", "KDE_FULL_SESSION": "true", "KDE_SESSION_VERSION": PLASMA_VERSION},
        with_it=(f"kded{PLASMA_VERSION}",),
        package="plasma-desktop",
    ),
}
"""tint2, trayer, stalonetray and polybar take icons by XEmbed, the others by StatusNotifierItem."""


def skip_without(panel: str) -> None:
    if shutil.which(panel) is None:
        pytest.skip(f"{panel} is missing: install the Debian package {PANELS[panel].package or 'of this name'}")


@contextlib.contextmanager
def shown(session: Session, name: str) -> Iterator[None]:
    """The panel, until it is killed."""
    panel = PANELS[name]
    configuration = session.home / f"{name}.conf"
    configuration.write_text(panel.configuration, encoding="utf-8")
    for file, text in panel.files.items():
        at = Path(session.environment["XDG_CONFIG_HOME"], file)
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_text(text, encoding="utf-8")
    with contextlib.ExitStack() as running:
        for program in panel.with_it:
            running.enter_context(beside(session, program))
        options = [one.replace("CONFIGURATION", str(configuration)) for one in panel.options]
        running.enter_context(beside(session, name, *options))
        yield


@contextlib.contextmanager
def beside(session: Session, *command: str) -> Iterator[None]:
    process = subprocess.Popen(
        command, env=session.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield
    finally:
        process.kill()
        process.wait(LIMIT_SECONDS)
