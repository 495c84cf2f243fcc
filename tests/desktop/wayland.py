"""A session on Wayland: sway without a screen, waybar with the icons, and a person's hands."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageColor

from desktop.look.tokens import LIGHT
from desktop.system.platforms import APP_ID
from tests.desktop.first_run import beside
from tests.desktop.session import Session
from tests.support.tray_host import LIMIT_SECONDS, TrayIcon, WatchedPanel, desktop_environment, private_bus, until
from tests.support.wayland import Compositor, Hands, compositor

BAR = {
    "layer": "top", "position": "top", "height": 30, "modules-left": [], "modules-center": [],
    "modules-right": ["tray"], "tray": {"icon-size": 20, "spacing": 8},
}  # fmt: skip
GROUND = "#24283b"
STYLE = f"* {{ font-family: sans-serif; font-size: 13px; }} window#waybar {{ background: {GROUND}; color: #ffffff; }}"

PAGE_LEFT = 220
"""Where pages begin, right of the side bar."""


class Desk:
    """One with a bar; what is typed and clicked on it, and what is to be seen."""

    def __init__(self, session: Session, sway: Compositor, hands: Hands) -> None:
        self.session, self.sway, self.hands = session, sway, hands

    # -- keys of a first run

    def window(self, title: str) -> dict[str, Any]:
        """Wait for it, and give it the focus."""
        found = until(lambda: self.sway.window(title), what=title)
        assert found["app_id"] == APP_ID
        self.sway.do(f"[con_id={found['id']}] focus")
        until(lambda: self.sway.window(title).get("focused"), what="the focus")
        return self.sway.window(title)

    def sent(self, title: str) -> bool:
        if not self.sway.window(title):
            return True
        self.press("Return")
        return False

    def close(self, title: str) -> None:
        """As its button does."""
        found = until(lambda: self.sway.window(title), what=title)
        self.sway.do(f"[con_id={found['id']}] kill")
        until(lambda: not self.sway.window(title), what="a window that is closed")

    def type(self, text: str) -> None:
        self.hands.type(text)

    def press(self, *keys: str) -> None:
        self.hands.press(*(key.replace("space", " ") for key in keys))

    # -- the bar

    @contextlib.contextmanager
    def icon(self) -> Iterator[TrayIcon]:
        """As it has registered with the bar."""
        panel = WatchedPanel(self.session.bus)
        try:
            until(lambda: panel.items, what="an icon in the bar")
            icon = TrayIcon(self.session.bus, panel)
            try:
                yield icon
            finally:
                icon.close()
        finally:
            panel.close()

    def primary_button(self) -> tuple[int, int]:
        """The middle of what a page of the window fills with the accent's colour, and nothing else of it has."""
        wanted = ImageColor.getrgb(LIGHT.accent)

        def found() -> tuple[int, int] | None:
            seen = self.look()
            page = seen.crop((PAGE_LEFT, 0, *seen.size))
            alone = [
                part.point(lambda value, one=one: 255 * (value == one))
                for part, one in zip(page.split(), wanted, strict=True)
            ]
            filled = ImageChops.darker(ImageChops.darker(alone[0], alone[1]), alone[2])
            left, top, right, bottom = filled.getbbox() or (0, 0, 0, 0)
            if 2 * filled.histogram()[255] <= (right - left) * (bottom - top):
                return None  # a line, a picture's strokes, or nothing
            return PAGE_LEFT + (left + right) // 2, (top + bottom) // 2

        place = until(found, what="a primary button")
        assert isinstance(place, tuple)
        return place

    def look(self) -> Image.Image:
        done = subprocess.run(
            ["grim", "-"], env=self.session.environment, capture_output=True, timeout=LIMIT_SECONDS, check=True
        )
        with Image.open(BytesIO(done.stdout)) as seen:
            return seen.convert("RGB")

    def rested(self) -> Image.Image:
        """Once it stays as it is."""
        seen = self.look()

        def rests() -> bool:
            nonlocal seen
            with contextlib.suppress(subprocess.TimeoutExpired):
                subprocess.run(["sleep", "1"], timeout=LIMIT_SECONDS, check=True)
            before, seen = seen, self.look()
            return seen == before

        until(rests, what="a screen that rests")
        return seen


@contextlib.contextmanager
def wayland_desk(home: Path, *, scale: str = "1") -> Iterator[Desk]:
    for program, package in {"waybar": "waybar", "grim": "grim"}.items():
        if shutil.which(program) is None:
            pytest.skip(f"{program} is missing: install the Debian package {package}")
    with compositor() as sway, contextlib.closing(Hands(sway.display)) as hands:
        sway.do(f"output HEADLESS-1 scale {scale}")
        of_wayland = {"WAYLAND_DISPLAY": sway.display, "GDK_BACKEND": "wayland", "GSETTINGS_BACKEND": "memory"}
        with private_bus(starts_services=False) as bus:
            environment = desktop_environment(home, display="", bus=bus) | of_wayland
            environment |= {"QT_QPA_PLATFORM": "wayland", "XDG_SESSION_TYPE": "wayland", "XDG_CURRENT_DESKTOP": "sway"}
            del environment["DISPLAY"]
            (home / "bar.json").write_text(json.dumps(BAR), encoding="utf-8")
            (home / "bar.css").write_text(STYLE, encoding="utf-8")
            desk = Desk(Session(bus, home, environment), sway, hands)
            with beside(["waybar", "-c", str(home / "bar.json"), "-s", str(home / "bar.css")], environment):
                until(lambda: desk.look().getpixel((1, 1)) == ImageColor.getrgb(GROUND), what="the bar")
                yield desk
