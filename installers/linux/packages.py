"""What is packaged: three packages of one version, whose files lie in one folder."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

APP_ID: Final = "ai.kubiya.worker"
"""Name of the desktop file, of the metainfo and of the icons, as the window tells its desktop."""

HOMEPAGE: Final = "https://kubiya.ai"
MAINTAINER: Final = "Kubiya <support@kubiya.ai>"
LICENCE: Final = "Apache-2.0"

OF_GLIBC: Final = re.compile(r"ld-linux.*|lib(c|dl|m|pthread|resolv|rt|util)\.so\.\d+")
"""Its libraries come as one package, of a version that is named."""

BASE: Final = Path("usr/lib/kubiya-worker")
"""Where the programs are; what packages own of them is below `packaged/VERSION` (`files/versions` says why)."""


class Unpackaged(Exception):
    """It cannot be packaged as it is; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What all packages of one build have in common."""

    version: str
    machine: str
    """As the kernel names it, such as `x86_64`."""

    epoch: int
    """Seconds: the time of everything in the packages."""

    glibc: str
    """The oldest one that all of it runs with, such as `2.36`."""

    small: bool = True
    """False: quickly made, to be tried and not to be given away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Files of the frozen programs that one package has."""

    tree: Path
    outside: tuple[str, ...] = ()
    """Libraries of the system that they need, as `libc.so.6`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One package; which libraries of the system it needs is found, not written here."""

    name: str
    part: str
    """Which part of the frozen programs is in it."""

    summary: str
    description: tuple[str, ...]
    """Paragraphs."""

    programs: tuple[str, ...] = ()
    """Of its part, those that users start."""

    needs: tuple[str, ...] = ()
    """Packages of ours, of the same version."""

    deb_depends: tuple[str, ...] = ()
    deb_recommends: tuple[str, ...] = ()
    deb_suggests: tuple[str, ...] = ()
    deb_section: str = "utils"
    rpm_requires: tuple[str, ...] = ()
    rpm_recommends: tuple[str, ...] = ()
    rpm_suggests: tuple[str, ...] = ()


WORKER: Final = Package(
    name="kubiya-worker",
    part="worker",
    summary="self-hosted worker that executes AI-agent workflows",
    description=(
        "A worker connects to the Kubiya control plane with one API key, polls its task queues, executes AI-agent "
        "workflows in private workspaces on this machine, streams what happens, and drains before it leaves.",
        "Tools run in an operating-system sandbox; a policy says what is allowed, asked about or denied. This package "
        "is the command line and the daemon, without a window.",
    ),
    programs=("kubiya-worker",),
    deb_recommends=("bubblewrap", "ca-certificates"),
    deb_suggests=("kubiya-worker-desktop", "kubiya-worker-playground"),
    rpm_recommends=("bubblewrap", "ca-certificates"),
    rpm_suggests=("kubiya-worker-desktop", "kubiya-worker-playground"),
)
"""It recommends the system's bubblewrap beside its own: distributions with AppArmor give that path user namespaces."""

DESKTOP: Final = Package(
    name="kubiya-worker-desktop",
    part="desktop",
    summary="tray and window of the Kubiya worker",
    description=(
        "The Kubiya worker behind a tray icon: a window shows what agents do, asks before they do it, and has the "
        "settings. If a worker runs already, the tray attaches to it instead of starting another one.",
    ),
    programs=("kubiya-worker-desktop",),
    needs=("kubiya-worker",),
    deb_depends=("fontconfig-config",),
    deb_recommends=(
        "dbus-user-session | dbus-session-bus",
        "gnome-keyring | kwalletmanager",
        "libgl1-mesa-dri",
        "xdg-utils",
    ),
    deb_suggests=("kubiya-worker-playground",),
    rpm_requires=("fontconfig",),
    rpm_recommends=("font(:lang=en)", "mesa-dri-drivers", "xdg-utils"),
    rpm_suggests=("kubiya-worker-playground",),
)
"""Without a font, which `fontconfig-config` brings, all text is boxes."""

PLAYGROUND: Final = Package(
    name="kubiya-worker-playground",
    part="playground",
    summary="development server for the playground of the Kubiya worker",
    description=(
        "Temporal's development server, which `kubiya-worker playground` and the tray's playground start to try "
        "everything on this machine, without an account. No other part of the worker needs it.",
    ),
    needs=("kubiya-worker",),
)

PACKAGES: Final = (WORKER, DESKTOP, PLAYGROUND)
