"""GPUs on the page of health: asked for while somebody sees it, and nothing where there are none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QTableWidget

from desktop.look import language
from desktop.models.gpu_history import LOOKS, SECONDS_A_LOOK, GpuHistory
from desktop.widgets.charts import AreaChart
from desktop.widgets.gpu_card import GpuCard
from desktop.widgets.gpu_processes import ROWS_SEEN
from desktop.windows.gpus import GpuPanel
from desktop.windows.main import MainWindow
from tests.desktop.windows.stand_ins import a_worker, busy, shown_window
from tests.support.finding import named, reads, seen
from tests.support.gpus import uuid_of
from worker_core.basics.sentences import worded
from worker_core.errors import KubiyaError
from worker_core.machine.gpu_facts import Gpu
from worker_core.machine.gpu_use import LISTED, GpuInUse, GpuProcess, GpuUse

GB = 10**9
H200 = Gpu(
    index=0, uuid=uuid_of(0), name="NVIDIA H200", driver="580.159.04", memory_bytes=150 * GB, used_bytes=60 * GB,
    busy_percent=87.4, celsius=41, watts=420.4,
)  # fmt: skip
SILENT = Gpu(index=1, uuid=uuid_of(1), name="Quadro K620", driver="470.256.02")
OURS = GpuProcess(pid=81734, execution_id="e", memory_bytes=11 * GB)


def window(qtbot: Any, folder: Path, use: GpuUse | None, **parts: Any) -> tuple[MainWindow, Any]:
    """On its page of health, and its worker."""
    worker = a_worker(busy("words"))
    worker.gpus.return_value = use
    made = shown_window(qtbot, folder, worker=worker, page="health", **parts)
    return made, worker


def panel(made: MainWindow) -> GpuPanel:
    [found] = made.page_named("health").findChildren(GpuPanel)
    return found


def use_of(*gpus: GpuInUse, trouble: str = "") -> GpuUse:
    return GpuUse(gpus=gpus, trouble=trouble)


def test_a_machine_without_gpus_shows_nothing_and_is_not_asked_again(qtbot, tmp_path: Path) -> None:
    made, worker = window(qtbot, tmp_path, None)
    assert worker.gpus.await_count == 1
    assert panel(made).isHidden()
    assert not panel(made).clock.runs
    assert not made.page_named("health").findChildren(GpuCard)
    made.show_page("overview")
    made.show_page("health")
    assert worker.gpus.await_count == 2, "somebody may have installed one, or switched the setting on"


def test_each_gpu_says_how_busy_it_is_and_what_it_does_not_say_is_a_dash(qtbot, tmp_path: Path) -> None:
    made, _ = window(qtbot, tmp_path, use_of(GpuInUse(gpu=H200, others=0), GpuInUse(gpu=SILENT)))
    page = made.page_named("health")
    first, silent = seen(page, GpuCard)
    assert first.accessibleName() == "GPU 0: NVIDIA H200"
    for words in ("87 %", "40 %", "60 GB of 150 GB", "41 °C  ·  420 W"):
        assert reads(first, words), words
    [said, memory] = seen(first, AreaChart)
    assert (said.accessibleName(), said.accessibleDescription()) == ("Utilisation", "Utilisation: 87 %")
    assert memory.accessibleDescription() == "GPU memory: 60 GB"
    assert reads(silent, "–")
    assert reads(silent, "–  ·  –")
    assert [one.accessibleDescription() for one in seen(silent, AreaChart)] == ["", ""]
    assert reads(page, "None now.")


def test_one_alone_needs_no_number_and_a_divided_one_names_its_parts(qtbot, tmp_path: Path) -> None:
    divided = replace(H200, is_divided=True, busy_percent=None)
    made, _ = window(qtbot, tmp_path, use_of(GpuInUse(gpu=divided, parts=("3g.71gb", "1g.18gb"))))
    [card] = seen(made.page_named("health"), GpuCard)
    assert card.accessibleName() == "NVIDIA H200"
    assert reads(card, "Divided (MIG): 3g.71gb, 1g.18gb")


@pytest.mark.parametrize("by", ["click", "Enter"])
def test_a_process_leads_to_its_execution(qtbot, tmp_path: Path, by: str) -> None:
    other = GpuProcess(pid=81735, execution_id="e2", memory_bytes=None)
    made, _ = window(qtbot, tmp_path, use_of(GpuInUse(gpu=H200, processes=(OURS, other), unlisted=3, others=2)))
    page = made.page_named("health")
    table = named(page, "Processes on the GPUs", QTableWidget)
    shown = [[table.item(line, place).text() for place in range(4)] for line in range(table.rowCount())]
    assert shown == [["Task e", "0", "81734", "11 GB"], ["Task e2", "0", "81735", "–"]]
    assert table.isColumnHidden(1), "there is but one GPU"
    assert reads(page, "3 more of executions.  2 processes of others.")
    if by == "click":
        middle = table.visualItemRect(table.item(0, 0)).center()
        qtbot.mouseClick(table.viewport(), Qt.MouseButton.LeftButton, pos=QPoint(middle))
    else:
        table.setCurrentCell(0, 0)
        QTest.keyClick(table, Qt.Key.Key_Return)
    assert made.page == "executions"
    assert reads(made.executions.detail, "Task e")


def test_it_is_asked_while_the_page_is_seen_alone(qtbot, tmp_path: Path) -> None:
    made, worker = window(qtbot, tmp_path, use_of(GpuInUse(gpu=H200)))
    clock = panel(made).clock
    assert clock.runs
    clock._timer.timeout.emit()
    assert worker.gpus.await_count == 2
    made.showMinimized()
    clock._timer.timeout.emit()
    assert worker.gpus.await_count == 2, "a minimized window is not seen"
    made.showNormal()
    made.show_page("overview")
    assert not clock.runs
    asked = worker.gpus.await_count
    panel(made).look()
    assert worker.gpus.await_count == asked


def test_cards_stay_while_their_gpus_do(qtbot, tmp_path: Path) -> None:
    made, worker = window(qtbot, tmp_path, use_of(GpuInUse(gpu=H200)))
    page = made.page_named("health")
    [card] = seen(page, GpuCard)
    worker.gpus.return_value = use_of(GpuInUse(gpu=replace(H200, busy_percent=12)))
    panel(made).look()
    assert seen(page, GpuCard) == [card]
    assert reads(card, "12 %")
    worker.gpus.return_value = use_of(GpuInUse(gpu=H200), GpuInUse(gpu=SILENT))
    panel(made).look()
    assert [one.accessibleName() for one in seen(page, GpuCard)] == ["GPU 0: NVIDIA H200", "GPU 1: Quadro K620"]
    worker.gpus.return_value = None
    panel(made).look()
    assert not seen(page, GpuCard)
    assert panel(made).isHidden()


def test_another_worker_is_asked_anew(qtbot, tmp_path: Path) -> None:
    made, worker = window(qtbot, tmp_path, None)
    worker.gpus.return_value = use_of(GpuInUse(gpu=H200))
    made.take(replace(busy("words"), pid=4711))
    assert seen(made.page_named("health"), GpuCard)


def test_why_nothing_is_known_is_said_in_the_window_s_language(qtbot, tmp_path: Path) -> None:
    language.load(["de"])
    trouble = worded("nvidia-smi did not answer within {n} s.", n="8")
    made, worker = window(qtbot, tmp_path, use_of(trouble=trouble))
    page = made.page_named("health")
    assert reads(page, "nvidia-smi hat nicht innerhalb von 8 s geantwortet.")
    assert panel(made).clock.runs, "it may answer the next time"
    worker.gpus.side_effect = KubiyaError("The worker does not answer.")
    panel(made).look()
    assert panel(made).isHidden()


def test_very_many_take_no_more_room_than_there_is(qtbot, tmp_path: Path) -> None:
    processes = tuple(GpuProcess(pid=number, execution_id=f"e{number}") for number in range(1, LISTED + 1))
    heights = []
    for count in (1, 64):
        gpus = [replace(H200, index=number, uuid=uuid_of(number)) for number in range(count)]
        made, _ = window(qtbot, tmp_path, use_of(*(GpuInUse(gpu=gpu, processes=processes) for gpu in gpus)))
        table = named(made.page_named("health"), "Processes on the GPUs", QTableWidget)
        assert table.rowCount() == count * LISTED
        heights.append(table.height())
        assert table.height() < (ROWS_SEEN + 2) * table.rowHeight(0)
    assert heights[0] == heights[1]


def test_what_was_not_seen_is_a_gap() -> None:
    now = [0.0]
    history = GpuHistory(clock=lambda: now[0])
    use = use_of(GpuInUse(gpu=H200))
    history.note(use)
    now[0] += SECONDS_A_LOOK
    [course] = history.note(use)
    assert list(course.busy) == [87.4, 87.4]
    now[0] += 4 * SECONDS_A_LOOK
    [course] = history.note(use)
    assert list(course.busy) == [87.4, 87.4, None, None, None, 87.4]
    now[0] += 0.1  # asked once more, since the page was shown
    assert len(history.note(use)[0].memory) == 7
    now[0] += 1e9
    [course] = history.note(use)
    assert list(course.memory) == [None] * (LOOKS - 1) + [60.0 * GB]
    [course] = history.note(use_of(GpuInUse(gpu=replace(H200, uuid=uuid_of(5)))))
    assert list(course.busy) == [87.4], "another card"
