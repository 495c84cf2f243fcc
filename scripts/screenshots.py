"""Pictures of every page, light and dark, into docs/screenshots/.

Usage: python scripts/screenshots.py [--out FOLDER] [--scale 1|2|3] [--page NAME ...]
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from desktop.windows.main import MainWindow

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "scripts")]
SCREEN = {
    "x": 0,
    "y": 0,
    "width": 1440,
    "height": 1200,
    "dpr": 1,
    "logicalDpi": 96,
    "logicalBaseDpi": 96,
    "name": "one",
}
"""Offscreen has a small one otherwise, and a popover is never higher than a part of it."""

PAGES = (
    "first-run",
    "overview",
    "executions",
    "queues",
    "logs",
    "health",
    "usage",
    "approvals",
    "notifications",
    "settings",
    "popover",
)


def demo_gpus(window: MainWindow, count: int) -> None:
    """Two minutes of a machine with GPUs: the second is divided, the fourth is an older one."""
    import demo_data

    from desktop.models import gpu_history

    panel = window.page_named("health").gpus  # type: ignore[attr-defined]
    clock = (gpu_history.SECONDS_A_LOOK * step for step in range(1000))
    panel._history = gpu_history.GpuHistory(clock=lambda: next(clock))
    for step in range(gpu_history.LOOKS):
        panel._history.note(demo_data.gpu_use(step, count))
    panel._desk.worker.gpus.return_value = demo_data.gpu_use(gpu_history.LOOKS, count)


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=ROOT / "docs" / "screenshots")
    options.add_argument("--scale", default="1")
    options.add_argument("--page", nargs="*", default=PAGES)
    options.add_argument("--gpus", type=int, default=0, help="that the machine has")
    options.add_argument("--empty", action="store_true", help="a worker that was never started")
    options.add_argument("--language", default="en", help="such as de")
    options.add_argument("--size", default="", help="of the window, such as 760x520")
    given = options.parse_args()
    os.environ["QT_SCALE_FACTOR"] = given.scale
    screens = Path(tempfile.mkdtemp(), "screens.json")
    screens.write_text(json.dumps({"screens": [SCREEN]}), encoding="utf-8")
    os.environ.setdefault("QT_QPA_PLATFORM", f"offscreen:configfile={screens}")

    import demo_data
    import demo_executions
    import demo_parts
    from PySide6.QtCore import QPoint, QRect, Qt
    from PySide6.QtTest import QTest
    from PySide6.QtWidgets import QApplication, QWidget

    from desktop.look import language
    from desktop.look.theme import theme
    from desktop.popover.popover import Popover
    from desktop.tray.facts import TrayFacts
    from desktop.widgets.buttons import IconButton
    from desktop.widgets.timeline import Timeline
    from desktop.widgets.tool_card import ToolCard
    from desktop.windows.first_run import FirstRunWindow
    from desktop.windows.main import WANTED, MainWindow

    language.load([given.language])
    timeline = language.tr("Show the timeline")

    def save(window: QWidget, file: Path) -> None:
        picture = window.grab().toImage()
        picture.convertToFormat(picture.Format.Format_RGB888).save(str(file), "PNG", 0)

    app = QApplication(sys.argv[:1])
    with tempfile.TemporaryDirectory() as folder:
        given.out.mkdir(parents=True, exist_ok=True)
        for mode in ("light", "dark"):
            theme().set_mode(mode)  # type: ignore[arg-type]
            desk = demo_parts.desk(Path(folder), empty=given.empty)
            window = MainWindow(desk)
            if given.gpus:
                demo_gpus(window, given.gpus)
            if not given.empty:
                desk.executions.apply(demo_executions.events())
                for execution, agent in demo_executions.agents().items():
                    one = desk.executions.get(execution)
                    assert one is not None
                    one.agent = agent
                for step in range(120):
                    window.take(demo_data.snapshot(step))
                window.add_lines(demo_data.log_lines())
                vitals = window.page_named("health").vitals  # type: ignore[attr-defined]
                vitals.memory_total = 32 * demo_data.GB
                chance = random.Random(3)  # noqa: S311
                for step in range(119):
                    for name, base in {
                        "cpu": 34,
                        "memory": 58,
                        "process": 128e6,
                        "disk_read": 2e6,
                        "disk_write": 9e5,
                        "received": 4e5,
                        "sent": 1.2e5,
                        "delay": 1.4,
                        "slots": 2,
                        "activity_slots": 4,
                        "workflow_slots": 1,
                        "polls": 3,
                        "polls_empty": 1.9,
                        "cached": 3,
                        "requests": 9,
                        "failures": 0,
                        "wait": 14,
                    }.items():
                        swing = 0.03 if name in {"memory", "process"} else 0.45
                        wave = 1 + swing * math.sin(step / 8 + base) + swing * 0.6 * (chance.random() - 0.5)
                        vitals.history[name].append(
                            round(2 + 1.4 * math.sin(step / 19)) if name == "slots" else base * wave
                        )
            window.show()
            window.resize(WANTED)  # the offscreen screen is a small one
            if given.size:
                window.resize(*(int(side) for side in given.size.split("x")))
            for name in given.page:
                if name == "first-run":
                    first = FirstRunWindow(demo_parts.onboarding(refused=given.empty), demo_parts.background())
                    first.show()
                    first.key.setText("kb-demo")
                    first.check.click()
                    for box in list(first.choices.boxes.values())[:2]:
                        box.setChecked(True)
                    for _ in range(12):
                        app.processEvents()
                    save(first, given.out / f"first-run-{mode}.png")
                    first.close()
                    continue
                if name == "popover":
                    popover = Popover(desk, pointer=lambda: QPoint(600, 1190))
                    popover.open_at(QRect(), TrayFacts(snapshot=demo_data.asking(desk.worker.snapshot)))
                    for _ in range(12):
                        app.processEvents()
                    popover.grab().save(str(given.out / f"popover-{mode}.png"), "PNG", 0)  # what is around it is clear
                    popover.close()
                    popover.deleteLater()
                    continue
                window.show_page(name)
                if name == "executions" and not given.empty:
                    window.show_page("executions", "4b1d77a0-checkout")
                if name == "queues" and not given.empty:
                    window.show_page("queues", demo_data.snapshot(119).queues[0].queue_id)
                if name == "health":
                    window.page_named("health").draw()  # type: ignore[attr-defined]
                for _ in range(12):
                    app.processEvents()
                if name == "health" and given.gpus:
                    page = window.page_named("health")
                    page.scroll_to(page.gpus._processes)  # type: ignore[attr-defined]
                    page.scroll_to(page.gpus)  # type: ignore[attr-defined]
                    for _ in range(12):
                        app.processEvents()
                if name == "executions" and not given.empty:
                    talk = window.executions.detail.conversation
                    bar = talk.verticalScrollBar()
                    save(window, given.out / f"approval-{mode}.png")
                    next(view for view in talk.views if isinstance(view, ToolCard)).toggle()
                    bar.setValue(0)
                    for _ in range(6):
                        app.processEvents()
                    [shows] = (one for one in window.findChildren(IconButton) if one.accessibleName() == timeline)
                    shows.click()
                    picture = window.findChildren(Timeline)[-1]
                    QTest.keyClick(picture, Qt.Key.Key_Left)
                    for _ in range(6):
                        app.processEvents()
                    save(window, given.out / f"timeline-{mode}.png")
                    shows.click()
                    for _ in range(6):
                        app.processEvents()
                save(window, given.out / f"{name}-{mode}.png")
            window.close()
            window.deleteLater()
            app.processEvents()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
