"""A server of notifications, and those who ask it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.desktop.notices.rig import Rig

if TYPE_CHECKING:
    from tests.support.notification_server import NotificationServer


@pytest.fixture
def rig(bus: str) -> Iterator[Rig]:
    made = Rig()
    yield made
    made.bubbles.close()


@pytest.fixture
def server(bus: str) -> Iterator[NotificationServer]:
    from tests.support.notification_server import NotificationServer  # it skips, as what `bus` imports does

    made = NotificationServer(bus)
    yield made
    made.close()
