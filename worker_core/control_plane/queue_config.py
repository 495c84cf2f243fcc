"""What the control plane has set for a queue (protocol, 6): noticed while the worker runs, applied or said."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from worker_core import __version__
from worker_core.basics.plain import one_line
from worker_core.control_plane.errors import ControlPlaneError, NotFound
from worker_core.control_plane.models import QueueConfig

if TYPE_CHECKING:
    from worker_core.control_plane.client import ControlPlaneClient

log = logging.getLogger(__name__)

WORKER_LABELS: Final = "worker_labels"
"""The setting by which a queue says what its workers must be (`placement.py`)."""

_KNOWN: Final = frozenset(
    {"enable_local_litellm_proxy", "litellm_config", "local_proxy_timeout_seconds", "local_proxy_max_retries",
     WORKER_LABELS}
)  # fmt: skip
_LONGEST: Final = 60
_MOST: Final = 5


class QueueConfigWatch:
    """Of one queue. A control plane that has no such thing is asked once."""

    def __init__(self, *, client: ControlPlaneClient, queue_id: str, on_change: Callable[[], None]) -> None:
        """Nothing is asked. `on_change` hears when there is another version."""
        self.heartbeat_seconds = 0
        """0 where nothing is said."""

        self.version = ""
        self.recommended_worker = ""
        self.max_workers: int | None = None
        self.asked_labels: object = None
        """What its workers must have, as it came; None: nothing, or nothing is known."""

        self.remarks: tuple[str, ...] = ()
        """One sentence for each thing that its owner should know."""

        self._client = client
        self._queue_id = queue_id
        self._on_change = on_change
        self._is_offered = True
        self._seen: tuple[str, str] | None = None

    async def look(self) -> None:
        """Ask once. What could not be had stays as it was: nothing depends on it."""
        if not self._is_offered:
            return
        try:
            found = await self._client.queue_config(self._queue_id)
        except NotFound:
            self._is_offered = False
        except ControlPlaneError as error:
            log.debug("Queue %s: its settings could not be read: %s", self._queue_id, error.sentence)
        else:
            self._take(found)

    def _take(self, found: QueueConfig) -> None:
        seen = (found.config_version, found.recommended_package_version)
        if seen == self._seen and found.config_version:
            return
        first, self._seen = self._seen is None, seen
        name = one_line(found.display_name or found.name, _LONGEST) or self._queue_id
        if not first:
            log.info("Queue %s: its settings on the control plane have changed.", name)
        before, self.remarks = self.remarks, remarks(found)
        for one in self.remarks:
            if one not in before:
                log.warning("Queue %s: %s", name, one)
        self.version = one_line(found.config_version, _LONGEST)
        self.recommended_worker = one_line(found.recommended_package_version, _LONGEST)
        self.asked_labels = found.settings.get(WORKER_LABELS)
        self.heartbeat_seconds, self.max_workers = max(0, found.heartbeat_interval), found.max_workers
        self._on_change()


def remarks(config: QueueConfig, *, version: str = __version__) -> tuple[str, ...]:
    """What its owner should know, in one sentence each: what this worker does not do as it is set there.

    Args:
        config: as the control plane has it.
        version: of this worker.
    """
    found = []
    recommended = one_line(config.recommended_package_version, _LONGEST)
    if _numbers(recommended) > _numbers(version):
        found.append(f"The control plane recommends worker {recommended}; this is {version}.")
    if config.status and config.status != "active":
        found.append(f"It is {one_line(config.status, _LONGEST)} on the control plane: no new worker can register.")
    if config.settings.get("enable_local_litellm_proxy") is True:
        found.append(
            "It asks for a LiteLLM proxy on this machine, which this worker does not start: it uses the gateway of its "
            "registration, or the one that `llm_base_url` names. To have a proxy, run one, and name it there."
        )
    if unknown := sorted(one_line(str(key), _LONGEST) for key in config.settings if key not in _KNOWN):
        more = f" and {len(unknown) - _MOST} more" if len(unknown) > _MOST else ""
        found.append(f"It has settings that this worker does not know: {', '.join(unknown[:_MOST])}{more}.")
    return tuple(found)


def _numbers(version: str) -> tuple[int, ...]:
    """The release of a version such as `1.4.0rc1`; empty: it is none. `1.4` and `1.4.0` are the same."""
    release = re.match(r"v?(\d{1,9}(?:\.\d{1,9}){0,5})(?!\d)", version.strip())
    numbers = [int(one) for one in release[1].split(".")] if release else []
    with contextlib.suppress(IndexError):
        while numbers[-1] == 0:
            numbers.pop()
    return tuple(numbers)
