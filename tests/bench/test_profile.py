"""The tables that are made of py-spy's stacks."""

from __future__ import annotations

from bench.profile import report

STACKS = (
    "main (worker_core/__main__.py:6);run (asyncio/runners.py:190);send (worker_core/control_plane/caller.py:9);"
    "request (httpx2/_client.py:7) 6",
    "main (worker_core/__main__.py:6);run (asyncio/runners.py:190);send (worker_core/control_plane/caller.py:10);"
    "dumps (json/__init__.py:231) 3",
    "run (threading.py:975);<lambda> (<string>:1) 1",
)


def test_time_belongs_to_the_innermost_room_or_package() -> None:
    rooms, alone, within = report(STACKS).split("\n\n")
    assert rooms.splitlines()[1:] == ["  60.0%  httpx2", "  30.0%  worker_core/control_plane", "  10.0%  Python itself"]
    assert alone.splitlines()[1] == "  60.0%  request (httpx2/_client.py)"
    assert "  90.0%  send (worker_core/control_plane/caller.py)" in within.splitlines()


def test_nothing_was_sampled() -> None:
    assert report([]) == "No sample was taken."
