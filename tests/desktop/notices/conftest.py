"""A session bus, and a server of notifications on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.desktop.notices.rig import Rig
from tests.support.notification_server import NotificationServer
from tests.support.tray_host import private_bus


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus() as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@pytest.fixture
def rig(bus: str) -> Iterator[Rig]:
    made = Rig()
    yield made
    made.bubbles.close()


@pytest.fixture
def server(bus: str) -> Iterator[NotificationServer]:
    made = NotificationServer(bus)
    yield made
    made.close()
