"""What attempts of a model call that broke off have used up, for the next attempt to count."""

from __future__ import annotations

from worker_core.model.answer import Usage


class SpentByAttempts:
    """In memory alone."""

    def __init__(self) -> None:
        self._spent: dict[tuple[str, str], Usage] = {}

    def of(self, execution_id: str, message_id: str) -> Usage:
        return self._spent.get((execution_id, message_id), Usage())

    def keep(self, execution_id: str, message_id: str, spent: Usage) -> None:
        self._spent[execution_id, message_id] = spent

    def forget(self, execution_id: str, message_id: str = "") -> None:
        """Of one call, or of all of an execution."""
        for key in [key for key in self._spent if key[0] == execution_id and message_id in {"", key[1]}]:
            del self._spent[key]
