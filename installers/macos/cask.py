"""The Homebrew cask of the disk images in a folder.

Usage: python -m installers.macos.cask FOLDER > kubiya-worker.rb
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Final

from installers.macos.bundle import IDENTIFIER, MINIMUM, NAME
from worker_core import __version__

PAGE: Final = "https://github.com/kubiyabot/kubiya-worker"
NAMES_OF_MACOS: Final = {14: "sonoma", 15: "sequoia", 26: "tahoe"}
HOMEBREW: Final = {"arm64": "arm", "x86_64": "intel"}


def image_name(processor: str) -> str:
    return f"Kubiya-Worker-{__version__}-{processor}.dmg"


def cask(folder: Path) -> str:
    """For the processors whose images are there.

    Raises:
        FileNotFoundError: there is none.
    """
    sums = {
        processor: hashlib.sha256(image.read_bytes()).hexdigest()
        for processor in HOMEBREW
        if (image := folder / image_name(processor)).exists()
    }
    if not sums:
        raise FileNotFoundError(f"There is no disk image of {__version__} in {folder}.")
    which = ", ".join(f'{HOMEBREW[one]}: "{digest}"' for one, digest in sums.items())
    only = f"  depends_on arch: :{next(iter(sums))}\n" if len(sums) == 1 else ""
    return f"""\
cask "kubiya-worker" do
  arch arm: "arm64", intel: "x86_64"

  version "{__version__}"
  sha256 {which}

  url "{PAGE}/releases/download/v#{{version}}/Kubiya-Worker-#{{version}}-#{{arch}}.dmg"
  name "{NAME}"
  desc "Self-hosted worker that executes AI-agent workflows"
  homepage "{PAGE}"

{only}  depends_on macos: ">= :{NAMES_OF_MACOS[MINIMUM[0]]}"

  app "{NAME}.app"
  binary "#{{appdir}}/{NAME}.app/Contents/MacOS/kubiya-worker"

  uninstall launchctl: "{IDENTIFIER}.login",
            quit:      "{IDENTIFIER}"

  zap trash: [
    "~/Library/Application Support/kubiya-worker",
    "~/Library/LaunchAgents/{IDENTIFIER}.login.plist",
  ]
end
"""


def main() -> int:
    try:
        print(cask(Path(sys.argv[1])), end="")
    except (IndexError, FileNotFoundError) as error:
        print(str(error) if isinstance(error, FileNotFoundError) else __doc__, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
