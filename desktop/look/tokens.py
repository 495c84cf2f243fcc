"""The design system's tokens: spacing, type, colours, light and dark, the tray's too. Nothing else names a colour."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Final, Literal

from worker_core.basics.quick_dataclass import dataclass

Tone = Literal["neutral", "accent", "success", "warning", "danger"]


class Space(IntEnum):
    """Distances in logical pixels; there are no others."""

    XS = 4
    S = 8
    M = 12
    L = 16
    XL = 24
    XXL = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """All colours of one scheme. `*_ink` is for text and lines, `*_soft` lies behind ink of the same tone. `edge`
    is around what one fills in or switches, and is seen on every ground (WCAG 2.2, 1.4.11). `part_*` are of what charts
    are made of, the largest first; `edge` is of the others together.
    """

    dark: bool
    window: str
    sidebar: str
    surface: str
    raised: str
    sunken: str
    selected: str
    line: str
    line_strong: str
    edge: str
    text: str
    muted: str
    accent: str
    accent_hover: str
    on_accent: str
    accent_ink: str
    accent_soft: str
    success_ink: str
    success_soft: str
    warning_ink: str
    warning_soft: str
    danger: str
    on_danger: str
    danger_ink: str
    danger_soft: str
    code_keyword: str
    code_text: str
    code_number: str
    code_comment: str
    code_name: str
    hit: str
    part_1: str
    part_2: str
    part_3: str
    part_4: str
    part_5: str

    @property
    def parts(self) -> tuple[str, ...]:
        """Of what a chart is made of; the last is that of all others together."""
        return (self.part_1, self.part_2, self.part_3, self.part_4, self.part_5, self.edge)

    def ink(self, tone: Tone) -> str:
        return self.muted if tone == "neutral" else str(getattr(self, f"{tone}_ink"))

    def soft(self, tone: Tone) -> str:
        return self.raised if tone == "neutral" else str(getattr(self, f"{tone}_soft"))


LIGHT = Palette(
    dark=False,
    window="#fcfcfd",
    sidebar="#f5f5f8",
    surface="#ffffff",
    raised="#f1f1f5",
    sunken="#f7f7fa",
    selected="#ebebf3",
    line="#ebebf0",
    line_strong="#d9d9e1",
    edge="#8a8a96",
    text="#1a1a20",
    muted="#5f5f6b",
    accent="#5753d0",
    accent_hover="#4a46c0",
    on_accent="#ffffff",
    accent_ink="#4a46c0",
    accent_soft="#eeedfc",
    success_ink="#12703d",
    success_soft="#e4f5eb",
    warning_ink="#875100",
    warning_soft="#fdf1dc",
    danger="#c42b33",
    on_danger="#ffffff",
    danger_ink="#b3222a",
    danger_soft="#fdeaea",
    code_keyword="#7433d6",
    code_text="#12703d",
    code_number="#875100",
    code_comment="#5f5f6b",
    code_name="#1a5ab8",
    hit="#ffe9a8",
    part_1="#5753d0",
    part_2="#c2571a",
    part_3="#0e7c6b",
    part_4="#b0327f",
    part_5="#2a78c8",
)

DARK = Palette(
    dark=True,
    window="#131316",
    sidebar="#0e0e11",
    surface="#1a1a1e",
    raised="#232329",
    sunken="#0f0f12",
    selected="#26262d",
    line="#25252b",
    line_strong="#393942",
    edge="#74747f",
    text="#ececf1",
    muted="#a2a2ae",
    accent="#5f5bd9",
    accent_hover="#6864e0",
    on_accent="#ffffff",
    accent_ink="#aaa7ff",
    accent_soft="#25243f",
    success_ink="#54d995",
    success_soft="#142b1f",
    warning_ink="#f2b84b",
    warning_soft="#33270f",
    danger="#c93c43",
    on_danger="#ffffff",
    danger_ink="#ff9393",
    danger_soft="#3a1a1d",
    code_keyword="#c0aeff",
    code_text="#82dfa9",
    code_number="#f2b84b",
    code_comment="#9c9ca8",
    code_name="#85bcff",
    hit="#574511",
    part_1="#8f8bff",
    part_2="#f0a35e",
    part_3="#43c9a8",
    part_4="#ef86c4",
    part_5="#6fb6ff",
)

TRAY_DISCS: Final[Mapping[str, tuple[str, str]]] = {
    "running": ("#0f7b6c", "#2fc7ae"),
    "busy": ("#1f5fd6", "#6aa5ff"),
    "paused": ("#8a5a00", "#f0b440"),
    "draining": ("#8a5a00", "#f0b440"),
    "attention": ("#c0262d", "#ff7a7a"),
    "cut off": ("#8a5a00", "#f0b440"),
    "stopped": ("#5b6470", "#aab3bf"),
}
"""Behind the mark of the tray's icon in a state: on light and on dark panels."""

TRAY_MARKS: Final = ("#ffffff", "#101418")
"""The mark itself, on light and on dark panels."""

NORMAL, MEDIUM, DEMI_BOLD = 400, 500, 600

TYPE: dict[str, tuple[float, int]] = {
    "display": (28, DEMI_BOLD),
    "title": (21, DEMI_BOLD),
    "heading": (15, DEMI_BOLD),
    "strong": (13, DEMI_BOLD),
    "medium": (13, MEDIUM),
    "body": (13, NORMAL),
    "small": (12, NORMAL),
    "caption": (11, MEDIUM),
    "code": (12, NORMAL),
}
"""Role -> size in pixels where the system's own font has 13, and weight as CSS and Qt count it."""
