"""Hearing that a keychain leaves, on a bus of our own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.tray_host import private_bus, until
from worker_core.secret_service import SECRETS, hearing_of_leaving

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the Secret Service is Linux's")


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with private_bus(starts_services=False) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@contextmanager
def owning(address: str) -> Iterator[None]:
    from jeepney.bus_messages import message_bus
    from jeepney.io.blocking import open_dbus_connection

    with open_dbus_connection(address) as connection:
        answer = connection.send_and_get_reply(message_bus.RequestName(SECRETS, 4), timeout=10)
        assert answer.body[0] == 1, "it has the name now"
        yield


def hearing() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "keychain's owner"]


def test_one_that_leaves_is_heard_once(bus: str) -> None:
    heard = threading.Semaphore(0)
    with hearing_of_leaving(heard.release):
        for _ in range(2):
            with owning(bus):
                assert len(hearing()) <= 1
            until(lambda: not hearing(), what="an end of it")
    assert heard.acquire(blocking=False)
    assert not heard.acquire(blocking=False)


def test_one_that_left_at_once_is_heard(bus: str) -> None:
    """From the first moment on, whichever thread is first."""
    for _ in range(20):
        heard = threading.Event()
        with owning(bus), hearing_of_leaving(heard.set):
            pass
        assert not heard.is_set(), "the call had ended"
        left = owning(bus)
        left.__enter__()
        with hearing_of_leaving(heard.set):
            left.__exit__(None, None, None)
            assert heard.wait(30)


def test_behind_a_call_nobody_listens(bus: str) -> None:
    heard = threading.Event()
    with owning(bus):
        with hearing_of_leaving(heard.set):
            assert len(hearing()) == 1
        assert not hearing()
        with pytest.raises(ZeroDivisionError), hearing_of_leaving(heard.set):
            raise ZeroDivisionError
        assert not hearing()
    assert not heard.is_set()


def test_without_a_bus_the_call_is_made_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    with hearing_of_leaving(lambda: None):
        assert not hearing()


def test_a_bus_that_ends_in_mid_call_is_nobody_who_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = threading.Event()
    with private_bus(starts_services=False) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        listening = hearing_of_leaving(heard.set)
        listening.__enter__()
    until(lambda: not hearing(), what="an end of it")
    listening.__exit__(None, None, None)
    assert not heard.is_set()
