"""What `Kubiya Worker.app` says of itself: build.spec puts it into the bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from worker_core import __version__

NAME: Final = "Kubiya Worker"
IDENTIFIER: Final = "ai.kubiya.worker"
EXECUTABLE: Final = "kubiya-worker-desktop"
ENTITLEMENTS: Final = Path(__file__).with_name("entitlements.plist")

MINIMUM: Final = (14, 4)
"""macOS Sonoma: what the libraries of Qt 6.12 name as their oldest. Each Mach-O file is held to it."""

_ASKS: Final = "A task that you gave to an agent wants to use {}."


def info_plist() -> dict[str, Any]:
    """What Apple's documents call information property list keys, beside those that PyInstaller writes.

    PyInstaller names the bundle's first program as the one that a double click starts, and hides the windows of a
    bundle in which a program has a console; here that would be the command line.
    """
    return {
        "CFBundleName": NAME,
        "CFBundleDisplayName": NAME,
        "CFBundleIdentifier": IDENTIFIER,
        "CFBundleExecutable": EXECUTABLE,
        "CFBundleShortVersionString": __version__,
        "CFBundleVersion": __version__,
        "CFBundleDevelopmentRegion": "en",
        "CFBundleLocalizations": ["en", "de", "es", "fr", "ja"],
        "LSApplicationCategoryType": "public.app-category.developer-tools",
        "LSBackgroundOnly": False,
        "LSMinimumSystemVersion": ".".join(map(str, MINIMUM)),
        "LSUIElement": True,  # an icon among the status items, none in the Dock
        "NSHighResolutionCapable": True,
        "NSHumanReadableCopyright": "Apache License 2.0",
        "NSPrincipalClass": "NSApplication",
        "NSSupportsAutomaticGraphicsSwitching": True,
        # What the system shows when a tool of an agent is the first to touch it: tools count as this program's.
        "NSAppleEventsUsageDescription": _ASKS.format("another program"),
        "NSDesktopFolderUsageDescription": _ASKS.format("files on your desktop"),
        "NSDocumentsFolderUsageDescription": _ASKS.format("files in your documents"),
        "NSDownloadsFolderUsageDescription": _ASKS.format("files in your downloads"),
        "NSRemovableVolumesUsageDescription": _ASKS.format("files on a removable volume"),
        "NSNetworkVolumesUsageDescription": _ASKS.format("files on a network volume"),
        "NSLocalNetworkUsageDescription": "Tools and MCP servers of your agents may be on your local network.",
    }
