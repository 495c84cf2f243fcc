"""The first run, without a window: a key that works, a keychain that keeps it, queues to serve."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from desktop.look.language import tr
from desktop.settings.keys import Keys
from desktop.settings.store import SettingsStore
from worker_core.errors import ConfigurationError

if TYPE_CHECKING:
    from worker_core.control_plane.models import Queue


class Onboarding:
    """Steps in order; each may be taken again. All raise KubiyaError with a sentence for the user."""

    def __init__(self, *, keys: Keys, store: SettingsStore, start_at_login: Callable[[], None] | None) -> None:
        """`start_at_login` switches that on, or raises OSError; None where the system has no such thing."""
        self.keys = keys
        self._store = store
        self._start_at_login = start_at_login

    @property
    def can_start_at_login(self) -> bool:
        return self._start_at_login is not None

    async def queues(self) -> list[Queue]:
        """Those that this key can use and that take workers, by environment and name."""
        async with self.keys.client() as client:
            found = await client.list_queues()
        return usable_queues(found)

    def finish(self, queue_ids: Sequence[str], *, at_login: bool) -> None:
        """Write down what was chosen."""
        self._store.change(queue_ids=tuple(queue_ids))
        if at_login and self._start_at_login is not None:
            try:
                self._start_at_login()
            except OSError as error:
                raise ConfigurationError(
                    tr("Start at login could not be changed: {reason}.", reason=error.strerror or error)
                ) from error


def usable_queues(found: Sequence[Queue]) -> list[Queue]:
    """Those that take workers, by environment and name."""
    return sorted(
        (queue for queue in found if queue.status in {"", "active"}),
        key=lambda queue: (queue.environment_name, queue.display_name or queue.name),
    )
