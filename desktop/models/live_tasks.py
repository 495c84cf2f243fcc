"""What is not over, in the order in which somebody who glances at it wants to see it. No Qt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from desktop.models.executions import Execution

_ORDER: Final = ("waiting_for_approval", "running", "pending", "paused")
"""Whatever else is not over, such as what waits for the next message, may wait longest."""


def live_tasks(executions: Iterable[Execution]) -> list[Execution]:
    """Those that are not over: what needs an answer first, then what works. Equal ones stay in their order."""
    places = {status: place for place, status in enumerate(_ORDER)}
    return sorted((one for one in executions if one.is_live), key=lambda one: places.get(one.status, len(_ORDER)))
