"""The window's list of executions with more and more of them, as a program of its own: prints one JSON object.

python -m bench.growth_window NUMBER ...
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PySide6.QtWidgets import QApplication

from bench.window import Stage
from worker_core.control_plane.models import ExecutionRecord

AT = datetime(2026, 1, 1, tzinfo=UTC)
CHANGES = 20


def record(number: int) -> ExecutionRecord:
    at = (AT + timedelta(minutes=number)).isoformat()
    return ExecutionRecord(
        id=f"execution-{number}", status="completed", prompt=f"Task number {number}", created_at=at, completed_at=at
    )


def main(numbers: list[int]) -> dict[str, list[tuple[int, float]]]:
    app = QApplication(["growth"])
    found: dict[str, list[tuple[int, float]]] = {"page opened": [], "one row changed": []}
    with tempfile.TemporaryDirectory(prefix="kubiya-growth-") as folder:
        stage = Stage(app, Path(folder))
        window, executions = stage.window, stage.window.desk.executions
        had = 0
        for number in numbers:
            executions.remember("q", [record(one) for one in range(had, number)])
            had = number
            stage.settle()
            window.show_page("overview")
            stage.settle()
            began = time.process_time()
            window.show_page("executions")
            window.repaint()
            found["page opened"].append((number, (time.process_time() - began) * 1000))
            stage.settle()
            began = time.process_time()
            for one in range(CHANGES):
                executions.describe(
                    f"execution-{one % number}", ExecutionRecord(id="", status="failed", error_message=f"{one}")
                )
                window.repaint()
            found["one row changed"].append((number, (time.process_time() - began) * 1000 / CHANGES))
    return found


if __name__ == "__main__":
    print(json.dumps(main([int(one) for one in sys.argv[1:]])), flush=True)
    os._exit(0)
