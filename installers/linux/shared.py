"""What stands beside the programs: commands, man pages, completions, desktop file, metainfo, icons."""

from __future__ import annotations

import functools
import io
import os
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Final

from installers.freezing import icons
from installers.linux import manual
from installers.linux.packages import APP_ID, DESKTOP, WORKER, Package, Release
from installers.linux.tree import write, write_compressed
from worker_core.cli.root import command

HERE: Final = Path(__file__).parent
FILES: Final = HERE / "files"
ICON_SIZES: Final = (16, 22, 24, 32, 48, 64, 128, 256, 512)

BASH: Final = "bash-completion/completions/kubiya-worker"
FISH: Final = "fish/vendor_completions.d/kubiya-worker.fish"
ZSH_OF_DEBIAN: Final = "zsh/vendor-completions/_kubiya-worker"
ZSH: Final = "zsh/site-functions/_kubiya-worker"


def write_shared(share: Path, package: Package, *, release: Release, zsh: str = ZSH) -> None:
    """Write what a package has in `/usr/share`, or in `~/.local/share`."""
    if package is WORKER:
        for name, page in manual.pages(release).items():
            write_compressed(share / "man" / "man1" / name, page)
        for shell, file in (("bash", BASH), ("fish", FISH), ("zsh", zsh)):
            write(share / file, _completion(shell))
    elif package is DESKTOP:
        parser = import_module("desktop.__main__").parser()
        page = manual.page_of(parser, summary=package.summary, release=release)
        write_compressed(share / "man" / "man1" / "kubiya-worker-desktop.1", page)
        write(share / "applications" / f"{APP_ID}.desktop", (FILES / f"{APP_ID}.desktop").read_bytes())
        write(share / "metainfo" / f"{APP_ID}.metainfo.xml", metainfo(release))
        _icons(share / "icons" / "hicolor")


def metainfo(release: Release) -> str:
    day = datetime.fromtimestamp(release.epoch, UTC).date().isoformat()
    text = (FILES / f"{APP_ID}.metainfo.xml").read_text(encoding="utf-8")
    return text.replace("@VERSION@", release.version).replace("@DAY@", day)


def _completion(shell: str) -> str:
    """The script of click: it asks the program what may follow."""
    from click.shell_completion import get_completion_class

    made = get_completion_class(shell)
    assert made is not None
    # Not its `source()`, which starts a Bash to look how old it is.
    found = made(command, {}, "kubiya-worker", "_KUBIYA_WORKER_COMPLETE")
    return found.source_template % found.source_vars()


def _icons(theme: Path) -> None:
    """The mark as it is, and drawn in the sizes of panels and menus that read no SVG."""
    write(theme / "scalable" / "apps" / f"{APP_ID}.svg", icons.MARK.read_bytes())
    for size in ICON_SIZES:
        write(theme / f"{size}x{size}" / "apps" / f"{APP_ID}.png", _drawn(size))


@functools.cache
def _drawn(size: int) -> bytes:
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    file = io.BytesIO()
    icons.drawn(size).save(file, "PNG")
    return file.getvalue()
