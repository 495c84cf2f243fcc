"""Every page, dialog and panel that this program shows, on the demo's day: for tests that look at all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

from PySide6.QtCore import QPoint, QRect, QSize
from PySide6.QtWidgets import QAbstractButton, QAbstractItemView, QApplication, QWidget

from desktop.look.language import tr
from desktop.notices.action import Action
from desktop.popover.popover import Popover
from desktop.settings.keys import Keys
from desktop.settings.onboarding import Onboarding
from desktop.settings.policy_trial import Outlook, TrialReason
from desktop.settings.store import SettingsStore
from desktop.system.files_left import FilesLeft
from desktop.system.hotkey import HotkeyKeeper
from desktop.system.working_copies import WorkingCopies
from desktop.tray.facts import TrayFacts
from desktop.widgets.approval_card import ApprovalCard
from desktop.widgets.composer import Composer
from desktop.widgets.step import Step
from desktop.widgets.tool_card import ToolCard
from desktop.windows.background import Background
from desktop.windows.connection_test import ConnectionTest
from desktop.windows.crash_dialog import CrashDialog
from desktop.windows.desk import Desk
from desktop.windows.first_run import FirstRunWindow
from desktop.windows.key_card import KeyCard
from desktop.windows.licences import LicencesDialog
from desktop.windows.main import MainWindow
from desktop.windows.new_task import NewTask
from desktop.windows.page import scroll_area
from desktop.windows.queue_dialog import QueueDialog
from desktop.windows.report import ReportDialog
from desktop.windows.settings import SettingsPage
from desktop.windows.trial_panel import TrialPanel
from tests.desktop.windows.keychain import Keychain
from tests.desktop.windows.stand_ins import a_fleet
from tests.support.engine import home
from tests.support.finding import settle
from tests.support.scripts import script
from worker_core.checkouts.changes import ChangedFile, Changes
from worker_core.checkouts.record import Checkout
from worker_core.control_plane.models import Queue
from worker_core.errors import KubiyaError
from worker_core.events import ExecutionEventPublished
from worker_core.settings import SETTINGS
from worker_core.snapshot import EngineSnapshot
from worker_core.workspaces.artefacts import LeftFiles
from worker_core.workspaces.workspace import Artefact

demo_data, demo_executions, demo_parts = script("demo_data"), script("demo_executions"), script("demo_parts")

FIRST = "4b1d77a0-checkout"
"""The execution whose conversation has a bit of everything."""

Shown = tuple[str, QWidget]
"""A name for messages, and the window as it is then."""

DIFF = """diff --git a/deploy/checkout/values.yaml b/deploy/checkout/values.yaml
--- a/deploy/checkout/values.yaml
+++ b/deploy/checkout/values.yaml
@@ -1,3 +1,4 @@
 env:
   WORKERS: 16
-  DB_POOL_SIZE: 5
+  DB_POOL_SIZE: 20
"""

WORDS = """## What was found

| workload | namespace | last month | this month | growth |
|---|---|---:|---:|---:|
| checkout-api | shop | 812.10 € | 12,400.10 € | 15.3 × |
| catalog-search-indexer | shop | 410.00 € | 980.20 € | 2.4 × |

- [x] read the bills
- [ ] ask the owners

```mermaid
flowchart LR
  subgraph machine [This machine]
    a[Worker] --> b{{Sandbox}}
  end
  a -- asks --> c[(Control plane)] & d{Is it allowed by the policy?}
```

```mermaid
pie title Costs
```

> Nobody knew that the pool was that small.

```diff
-  DB_POOL_SIZE: 5
+  DB_POOL_SIZE: 20
```
"""


def desk(folder: Path, *, empty: bool) -> Desk:
    """The demo's, with what only some machines have: keys of its own, GPUs, files that were left, a copy of
    a repository.
    """
    made: Desk = demo_parts.desk(folder, empty=empty)
    store = made.settings
    if not empty:
        store.prefer(hotkey_on=True)
        made.worker.gpus.return_value = demo_data.gpu_use(1, 4)  # type: ignore[attr-defined]
    keeper = HotkeyKeeper(make=lambda: None, store=store)
    keeper.look()
    keys = Keys(store=store, keychain=Keychain(), environ={}, use_key=lambda _: None)  # type: ignore[arg-type]
    left = create_autospec(FilesLeft, instance=True)
    left.has_place.return_value = True
    names = ("report.md", "charts/cost-by-workload-and-namespace-over-the-last-twelve-months.png")
    left.of.return_value = LeftFiles(
        execution_id=FIRST,
        workspace=create_autospec(LeftFiles).workspace,
        files=tuple(Artefact(path=name, size_bytes=18_200, modified_at=demo_executions.NOW) for name in names),
    )
    checkout = Checkout(execution_id=FIRST, repository="/home/maya/work/shop-infrastructure", base="1" * 40, branch="b")
    copies = create_autospec(WorkingCopies, instance=True)
    copies.find.return_value = checkout
    files = (ChangedFile(path="deploy/checkout/values.yaml", added=1, removed=1),)
    copies.changes.return_value = Changes(checkout=checkout, files=files, diff=DIFF, seal="s")
    return replace(made, keys=keys, hotkey=lambda: keeper, files_left=left, copies=copies)


def main_window(folder: Path, *, empty: bool = False) -> MainWindow:
    """It has everything that arrived in two minutes of the demo, or nothing."""
    made = MainWindow(desk(folder, empty=empty))
    if empty:
        return made
    made.desk.executions.apply([*demo_executions.events(), *_more_words()])
    for step in range(120):
        made.take(demo_data.snapshot(step))
    made.add_lines(demo_data.log_lines(60))
    return made


def _more_words() -> Iterator[ExecutionEventPublished]:
    at = demo_executions.NOW - timedelta(seconds=10)
    said: list[tuple[str, dict[str, Any]]] = [
        ("message_chunk", {"message_id": "a2", "content": WORDS}),
        ("error", {"severity": "warning", "details": {"error_message": "The model gateway was busy for 40 seconds."}}),
    ]
    for kind, payload in said:
        yield ExecutionEventPublished(execution_id="91c3f0de-costs", type=kind, payload=payload, sequence=9, at=at)


def press(root: QWidget, name: str) -> None:
    """The button of this name that is seen."""
    settle()
    found = [one for one in root.findChildren(QAbstractButton) if one.accessibleName() == name]
    next(one for one in found if one.isVisibleTo(root)).click()
    settle()


def of_the_window(window: MainWindow) -> Iterator[Shown]:
    """Its pages in all their shapes. What is opened is closed again."""
    is_empty = not window.desk.worker.snapshot.queues
    for name in ("overview", "queues", "logs", "health", "usage", "approvals", "notifications"):
        window.show_page(name)
        yield name, window
    yield from _executions(window) if not is_empty else ()
    if is_empty:
        window.show_page("executions")
        yield "executions", window
    else:
        yield from _opened(window)
    window.show_page("settings")
    settings = window.page_named("settings")
    assert isinstance(settings, SettingsPage)
    while not settings.is_whole:
        QApplication.processEvents()
    for test in window.findChildren(ConnectionTest):
        test.button.click()
    for trial in window.findChildren(TrialPanel):
        trial.show_outlook(_outlook())
    yield "settings", window
    settings.reveal("key")
    settle()
    yield "settings, key", window
    window.show_page("overview")
    window.say(
        tr("Cancel “{title}”? What it does now is ended, and cannot be taken up again.", title="Renew certificates"),
        tone="warning", action=tr("Cancel it"), act=lambda: None,
    )  # fmt: skip
    yield "banner", window
    window.banner.hide()
    for action in (Action.COMMANDS, Action.KEYS):
        window.commands.carry_out(action)
        yield action.value, window
        window.commands.carry_out(action)


def _outlook() -> Outlook:
    """Of a call that is tried."""
    why, rule = tr("It reaches beyond the workspace."), "ask command = 'sudo systemctl restart --no-block *'"
    reasons = tuple(TrialReason(what=f"{why} {'long ' * 40}", rule=rule * 3, line=line) for line in (0, 1234))
    setting = SETTINGS["approvals"].title
    sentence = tr("Nobody is asked here, so it does not run: “{setting}” says so.", setting=setting)
    return Outlook(outcome="deny", sentence=sentence, reasons=reasons, notes=(why * 3,))


def _executions(window: MainWindow) -> Iterator[Shown]:
    window.show_page("executions", FIRST)
    talk = window.executions.detail.conversation
    settle()
    yield "question", window
    card = next(view for view in talk.views if isinstance(view, ApprovalCard))
    card.rule.show_rule('[[allow]]\ncommand = "git push*"', editable=True)
    card.rule.show()
    settle()
    yield "question, its rule", window
    card.rule.hide()
    next(view for view in talk.views if isinstance(view, ToolCard)).toggle()
    talk.verticalScrollBar().setValue(0)
    yield "executions", window
    press(window, tr("Show the timeline"))
    yield "timeline", window
    press(window, tr("Show as a table"))
    yield "timeline, table", window
    press(window, tr("Hide the timeline"))
    for name in (tr("Show what it changed"), tr("Show the files that it left")):
        press(window, name)
        yield name, window
        press(window, tr("Close"))
    window.show_page("executions", "91c3f0de-costs")
    window.executions.detail.conversation.verticalScrollBar().setValue(10_000)
    yield "words", window


def _opened(window: MainWindow) -> Iterator[Shown]:
    window.show_page("queues", demo_data.snapshot(119).queues[0].queue_id)
    yield "queues, opened", window
    window.show_page("logs")
    table = next(one for one in window.page_named("logs").findChildren(QAbstractItemView))
    table.setCurrentIndex(table.model().index(3, 0))
    yield "logs, a line", window
    window.show_page("usage")
    press(window.page_named("usage"), tr("Show as a table"))
    yield "usage, table", window
    press(window.page_named("usage"), tr("Show as a chart"))
    window.show_page("notifications")
    inbox = next(one for one in window.page_named("notifications").findChildren(QAbstractItemView))
    inbox.setCurrentIndex(inbox.model().index(1, 0))
    yield "notifications, one", window


def _quick_desk(folder: Path, snapshot: EngineSnapshot) -> Desk:
    """Without the ninety days of numbers, which take a while to write."""
    made = desk(folder / "desk", empty=True)
    made.worker.snapshot = snapshot  # type: ignore[misc]
    return made


# -- beside it ----------------------------------------------------------------------------------------------------


def _first_run(folder: Path) -> QWidget:
    made = FirstRunWindow(demo_parts.onboarding(), demo_parts.background())
    made.key.setText("kb-demo")
    made.check.click()
    for box in list(made.choices.boxes.values())[:2]:
        box.setChecked(True)
    return made


def _first_run_refused(folder: Path) -> QWidget:
    made = FirstRunWindow(demo_parts.onboarding(refused=True), demo_parts.background())
    made.key.setText("kb-demo")
    made.check.click()
    return made


def _first_run_open(folder: Path) -> QWidget:
    store = SettingsStore(home(folder), environ={})
    keys = Keys(store=store, keychain=Keychain(), environ={}, use_key=lambda _: None)  # type: ignore[arg-type]
    made = FirstRunWindow(Onboarding(keys=keys, store=store, start_at_login=lambda: None), Background(run=asyncio.run))
    for step in made.findChildren(Step):
        step.open()
    made.choices.offer([Queue(id="a", name="alerts"), Queue(id="b", name="builds")])
    return made


def _key_card(folder: Path) -> QWidget:
    store = SettingsStore(home(folder), environ={})
    keys = Keys(store=store, keychain=Keychain(), environ={}, use_key=lambda _: None)  # type: ignore[arg-type]
    made = KeyCard(keys, Background(run=asyncio.run))
    made.open()
    around = scroll_area(made)
    around.resize(640, 240)
    return around


def _queue_dialog(_: Path) -> QWidget:
    made = QueueDialog(a_fleet(), Background(run=asyncio.run), picked=("q-2",), take=lambda _: None)
    made.look()
    return made


def _queue_dialog_refused(_: Path) -> QWidget:
    worker = a_fleet()
    worker.list_queues.side_effect = KubiyaError("Cannot reach control-plane.kubiya.ai: nothing listens there.")
    made = QueueDialog(worker, Background(run=asyncio.run), picked=(), take=lambda _: None)
    made.look()
    return made


def _new_task(folder: Path) -> QWidget:
    made = NewTask(_quick_desk(folder, demo_data.snapshot()))
    made.look()
    prompt = next(one for one in made.findChildren(Composer))
    prompt.setPlainText("Look at the bills of last month and say what grew.")
    (folder / "bills.csv").write_text("a,b\n" * 200)
    made.give([folder / "bills.csv", folder])
    return made


def _licences(_: Path) -> QWidget:
    return LicencesDialog([{"name": "PySide6_Essentials", "version": "6.11.3", "texts": []}])


def _report(_: Path) -> QWidget:
    return ReportDialog({"system.txt": "Linux 6.1\nPython 3.11.7\n" * 20, "checks.txt": "ok", "settings.toml": "a = 1"})


def _crash(_: Path) -> QWidget:
    frame = '  File "worker_core/engine/engine.py", line 41, in run\n    await self._serve()\n'
    return CrashDialog("Traceback (most recent call last):\n" + frame * 12 + "ValueError: nothing")


def _popover(folder: Path, snapshot: EngineSnapshot) -> QWidget:
    known = _quick_desk(folder, snapshot)
    known.executions.apply(demo_executions.events() if snapshot.queues else [])
    known.executions.take(snapshot)
    made = Popover(known, pointer=lambda: QPoint(600, 1190))
    made.open_at(QRect(), TrayFacts(snapshot=snapshot))
    return made


BESIDE: dict[str, Callable[[Path], QWidget]] = {
    "first run": _first_run,
    "first run, refused": _first_run_refused,
    "first run, all steps": _first_run_open,
    "key card": _key_card,
    "queue dialog": _queue_dialog,
    "queue dialog, refused": _queue_dialog_refused,
    "new task": _new_task,
    "licences": _licences,
    "report": _report,
    "crash": _crash,
    "popover, question": lambda folder: _popover(folder, demo_data.asking(demo_data.snapshot())),
    "popover": lambda folder: _popover(folder, demo_data.snapshot()),
    "popover, stopped": lambda folder: _popover(folder, EngineSnapshot()),
}
"""What is no part of the main window: by a name for messages, what makes it in a folder of its own."""


def beside(folder: Path, *, room: QSize) -> Iterator[Shown]:
    """Each as large as it opens, and no larger than the room; then as small as it can be made."""
    for number, (name, make) in enumerate(BESIDE.items()):
        own = folder / str(number)
        own.mkdir(parents=True, exist_ok=True)
        made = make(own)
        made.show()
        settle()
        if not name.startswith(("popover", "key card")):
            made.resize(made.size().boundedTo(room).expandedTo(made.minimumSizeHint()))
        yield name, made
        if not name.startswith(("popover", "key card")):
            made.resize(made.minimumSizeHint().expandedTo(made.minimumSize()))
            yield f"{name}, small", made
        made.close()
        made.deleteLater()


def scenes(folder: Path, *, size: tuple[int, int], empty: bool = False) -> Iterator[Shown]:
    """All of them, of one size."""
    window = main_window(folder / "main", empty=empty)
    window.resize(*size)
    window.show()
    window.resize(*size)
    yield from of_the_window(window)
    window.close()
    window.deleteLater()
    if not empty:
        yield from beside(folder / "beside", room=QSize(*size))
