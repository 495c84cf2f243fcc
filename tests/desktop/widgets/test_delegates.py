"""What rows of lists say."""

from __future__ import annotations

import pytest

from desktop.widgets.log_table import pieces
from worker_core.logs.ring import LogLine, now

ID = "590b4b10-fd51-4d7e-8a51-0123456789ab"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (f"Execution {ID}: turn 1 begins.", "Execution 590b4b10: turn 1 begins."),
        (f"{ID} follows {ID}", "590b4b10 follows 590b4b10"),
        ("590b4b10-fd51 is none", "590b4b10-fd51 is none"),
        (f"x{ID}", f"x{ID}"),
        ("", ""),
    ],
)
def test_a_line_of_the_log_has_short_ids(said: str, shown: str) -> None:
    found = pieces(LogLine(at=now(), level="INFO", logger="x", message=said))
    assert "".join(text for text, _ in found) == shown
    assert {id_ for _, id_ in found if id_} == ({ID} if "590b4b10 " in shown or "590b4b10:" in shown else set())
