"""What types on X11 as a person does: xdotool."""

from __future__ import annotations

import subprocess

from tests.support.tray_host import LIMIT_SECONDS, until


class Keyboard:
    """Keys for the window with the focus, by way of the X server."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment

    def window(self, title: str) -> str:
        """Wait for it, and give it the focus."""
        found = until(lambda: self._xdotool("search", "--onlyvisible", "--name", f"^{title}$"), what=title).split()[-1]
        until(lambda: self._xdotool("windowactivate", "--sync", found) is not None)
        until(lambda: self._xdotool("getactivewindow").strip() == found)
        return found

    def sent(self, title: str) -> bool:
        """Press Enter in the window of this title; whether it is gone."""
        if not self._xdotool("search", "--onlyvisible", "--name", f"^{title}$"):
            return True
        self.press("Return")
        return False

    def type(self, text: str, *, delay_milliseconds: int = 15) -> None:
        self._xdotool("type", "--delay", str(delay_milliseconds), text)

    def press(self, *keys: str) -> None:
        self._xdotool("key", "--delay", "60", *keys)

    def _xdotool(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments],
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
        return done.stdout
