"""A notification as a person sees it: found on the screen of an X server, read for its buttons, and clicked."""

from __future__ import annotations

import subprocess
from itertools import pairwise
from typing import NamedTuple

from PIL import Image, ImageChops, ImageGrab

from tests.support.tray_host import LIMIT_SECONDS, until

CONTRAST = 100
"""Of 255, between text and what is behind it."""

COLOUR = 48
"""Of 255, between the channels of what is no text any more."""

BETWEEN_WORDS = 8
"""Pixels: more than that is between two labels."""


LOWEST = 6
"""Pixels of a line of text."""


class Place(NamedTuple):
    """Of a label, in pixels of the screen."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def middle(self) -> tuple[int, int]:
        return (self.left + self.right) // 2, (self.top + self.bottom) // 2


class NoticeScreen:
    """What is to be seen on it beside what was there when this was made, and a pointer."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment = environment
        self.leave()
        self._empty = self.look()

    def look(self) -> Image.Image:
        return ImageGrab.grab(xdisplay=self._environment["DISPLAY"]).convert("RGB")

    def is_empty(self) -> bool:
        return self.look() == self._empty

    def buttons(self) -> tuple[Place, Place]:
        """Of a question that is on the screen, and rests: to allow, and to deny."""
        found = until(self._resting_buttons, what="a question with its buttons")
        assert isinstance(found, tuple)
        return found

    def text(self) -> Place:
        """Of something that is written on the screen, once it rests."""
        found = until(lambda: (lines := self._resting_lines()) and lines[-1][-1], what="a notification")
        assert isinstance(found, Place)
        return found

    def click(self, place: Place) -> None:
        self._do("mousemove", *map(str, place.middle), "click", "1")
        self.leave()

    def leave(self) -> None:
        """To a corner, where nothing is."""
        self._do("mousemove", "2", "700")

    def windows(self, *wanted: str) -> str:
        """Those that are to be seen, as xdotool is asked for them."""
        return self._do("search", "--onlyvisible", *wanted)

    def _do(self, *arguments: str) -> str:
        done = subprocess.run(
            ["xdotool", *arguments],
            env=self._environment, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False,
        )  # fmt: skip
        return done.stdout.strip()

    def _resting_lines(self) -> list[list[Place]]:
        seen = self.look()
        lines = self._lines(seen)
        return lines if self.look() == seen else []

    def _resting_buttons(self) -> tuple[Place, Place] | None:
        lines = self._resting_lines()
        if len(lines) < 2:
            return None
        if len(lines[-1]) > 1:  # side by side, where "Open" may stand before them
            return lines[-1][-2], lines[-1][-1]
        one, other = lines[-2][0], lines[-1][0]  # one below the other, in any order
        return (one, other) if one.width > other.width else (other, one)

    def _lines(self, seen: Image.Image) -> list[list[Place]]:
        """What is written there, from the top, each label by itself: grey pixels, far from what is behind them."""
        changed = ImageChops.difference(seen, self._empty)
        box = changed.getbbox()
        if box is None:
            return []
        part = seen.crop(box)
        colours = part.getcolors(part.width * part.height) or []
        behind = max(colours)[1]
        assert isinstance(behind, tuple)
        ground = Image.new("RGB", (1, 1), behind).convert("L").getpixel((0, 0))
        assert isinstance(ground, int)
        red, green, blue = part.split()
        most = ImageChops.lighter(ImageChops.lighter(red, green), blue)
        least = ImageChops.darker(ImageChops.darker(red, green), blue)
        written = [
            part.convert("L").point(lambda value: 255 * (abs(value - ground) > CONTRAST)),
            ImageChops.subtract(most, least).point(lambda value: 255 * (value < COLOUR)),
            changed.crop(box).convert("L").point(lambda value: 255 * (value > 0)),
        ]
        ink = ImageChops.multiply(ImageChops.multiply(written[0], written[1]), written[2])
        lines = []
        for top, bottom in _runs([bool(ink.crop((0, y, ink.width, y + 1)).getbbox()) for y in range(ink.height)], 1):
            row = ink.crop((0, top, ink.width, bottom))
            columns = [bool(row.crop((x, 0, x + 1, row.height)).getbbox()) for x in range(row.width)]
            labels = [
                Place(box[0] + left, box[1] + top, box[0] + right, box[1] + bottom)
                for left, right in _runs(columns, BETWEEN_WORDS)
                if right - left >= BETWEEN_WORDS and left > 0 and right < row.width  # else it is a round corner
            ]
            if labels and bottom - top >= LOWEST:
                lines.append(labels)
        return lines


def _runs(there: list[bool], gap: int) -> list[tuple[int, int]]:
    """Begin and end of each stretch; holes no wider than `gap` belong to it."""
    at = [place for place, is_there in enumerate(there) if is_there]
    if not at:
        return []
    ends = [here for here, following in pairwise(at) if following - here > gap + 1]
    starts = [following for here, following in pairwise(at) if following - here > gap + 1]
    return [(start, end + 1) for start, end in zip([at[0], *starts], [*ends, at[-1]], strict=True)]
