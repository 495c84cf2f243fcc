"""Which click brings the popover, and which the window."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import pytest
from PySide6.QtCore import QPoint, QRect
from PySide6.QtWidgets import QApplication

from desktop.popover.at_icon import SAME_CLICK_SECONDS, SAME_PLACE, AtIcon
from tests.support.snapshots import facts

ICON = QRect(600, 770, 22, 22)


class Stand:
    """In the place of the popover: where it was opened, and with what."""

    def __init__(self) -> None:
        self.opened: list[Any] = []
        self.visible, self.opened_at = False, 0.0
        self.left: tuple[float, QPoint] | None = None

    def isVisible(self) -> bool:  # noqa: N802 (Qt's own name)
        return self.visible

    def open_at(self, *where: Any) -> None:
        self.visible, self.left = True, None
        self.opened.append(where)

    def hide(self) -> None:
        self.visible = False

    def take(self, said: Any) -> None:
        self.opened.append(said)


class Bench:
    """A clock that goes when it is told to, a pointer, and what was asked for."""

    def __init__(self) -> None:
        self.time, self.at, self.wanted = 100.0, ICON.center(), True
        self.made: list[Stand] = []
        self.windows = 0
        self.icon = AtIcon(
            new_popover=self._new, is_wanted=lambda: self.wanted, open_window=self._window, facts=facts,
            icon=lambda: ICON, now=lambda: self.time, pointer=lambda: self.at,
        )  # fmt: skip

    def _new(self) -> Any:
        self.made.append(Stand())
        return self.made[-1]

    def _window(self) -> None:
        self.windows += 1

    @property
    def popover(self) -> Stand:
        [one] = self.made
        return one

    def click(self, *, later: float = 5.0) -> None:
        self.time += later
        shown = bool(self.made) and self.popover.visible
        self.icon.clicked()
        if not shown and self.made and self.popover.visible:
            self.popover.opened_at = self.time

    def lose_focus(self) -> None:
        self.popover.visible = False
        self.popover.left = (self.time, QPoint(self.at))


@pytest.fixture
def bench(qapp: QApplication) -> Bench:
    return Bench()


def test_it_is_made_with_the_first_click_and_once(bench: Bench) -> None:
    bench.icon.take(facts())
    bench.icon.close()
    assert not bench.made
    for _ in range(4):
        bench.click()
    assert [where[0] for where in bench.popover.opened] == [ICON, ICON]
    assert not bench.popover.visible
    assert bench.windows == 0


def test_nothing_of_it_is_imported_before() -> None:
    program = (
        "import sys, desktop.shell.app; print([name for name in sys.modules if name.startswith('desktop.popover.')])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "['desktop.popover.at_icon']"


def test_where_none_is_wanted_a_click_opens_the_window_and_makes_nothing(bench: Bench) -> None:
    bench.wanted = False
    bench.click()
    assert (bench.windows, bench.made) == (1, [])


def test_one_that_is_open_goes_when_none_is_wanted_any_more(bench: Bench) -> None:
    bench.click()
    bench.wanted = False
    bench.click()
    assert not bench.popover.visible
    assert bench.windows == 1


def test_two_clicks_at_once_open_the_window(bench: Bench) -> None:
    """Panels of StatusNotifierItem know no double click."""
    bench.click()
    bench.click(later=QApplication.doubleClickInterval() / 2000)
    assert not bench.popover.visible
    assert bench.windows == 1


def test_the_click_that_takes_the_focus_closes_it_and_does_not_bring_it_back(bench: Bench) -> None:
    bench.click()
    bench.time += 5
    bench.lose_focus()
    bench.click(later=SAME_CLICK_SECONDS / 2)
    assert not bench.popover.visible
    bench.click()
    assert bench.popover.visible
    assert bench.windows == 0


@pytest.mark.parametrize(("later", "moved"), [(SAME_CLICK_SECONDS * 1.1, 0), (0.1, SAME_PLACE)])
def test_a_click_elsewhere_that_closed_it_is_another_one(bench: Bench, later: float, moved: int) -> None:
    bench.click()
    bench.time += 5
    bench.at = ICON.center() + QPoint(moved, 0)
    bench.lose_focus()
    bench.at = ICON.center()
    bench.click(later=later)
    assert bench.popover.visible


def test_what_is_known_reaches_it(bench: Bench) -> None:
    bench.click()
    said = facts(running=2)
    bench.icon.take(said)
    assert cast("list[Any]", bench.popover.opened)[-1] is said
    bench.icon.close()
    assert not bench.popover.visible
