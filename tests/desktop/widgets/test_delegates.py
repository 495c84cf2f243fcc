"""What rows of lists say."""

from __future__ import annotations

import pytest

from desktop.widgets.delegates import with_short_ids

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
    assert with_short_ids(said) == shown
