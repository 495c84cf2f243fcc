"""One client of the control plane for all that a window asks, as long as settings and key are the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from desktop.worker.control_plane import ControlPlane, ShownService
from desktop.worker.wanted import Wanted
from tests.support.playground import Stage
from worker_core.control_plane.connections import HttpAnswer
from worker_core.control_plane.relay import RelayedCall
from worker_core.errors import ConfigurationError
from worker_core.secrets import Secret
from worker_core.settings import Settings


class Rig:
    def __init__(self, stage: Stage) -> None:
        settings = Settings(control_plane_url=stage.info.control_plane_url)
        self.wanted = Wanted(settings=settings, api_key=Secret(stage.info.api_key))
        self.service: ShownService | None = None
        self.plane = ControlPlane(self._provide, service=lambda: self.service)

    async def _provide(self) -> Wanted:
        if not self.wanted.api_key.reveal():
            raise ConfigurationError("There is no API key.")
        return self.wanted

    async def who(self) -> object:
        """Ask something; the client that did."""
        async with self.plane.client() as client:
            assert await client.list_queues()
            return client


def test_a_client_is_kept_until_settings_key_or_network_are_others(stage: Stage) -> None:
    async def live() -> None:
        rig = Rig(stage)
        first = await rig.who()
        assert await rig.who() is first
        rig.wanted = replace(rig.wanted, settings=replace(rig.wanted.settings, log_level="DEBUG"))
        second = await rig.who()
        assert second is not first
        rig.plane.renew()
        third = await rig.who()
        assert third is not second
        assert await rig.who() is third
        await rig.plane.close()

    asyncio.run(live())


def test_a_question_under_way_ends_with_the_client_that_it_began_with(stage: Stage) -> None:
    async def live() -> None:
        rig = Rig(stage)
        async with rig.plane.client() as old:
            rig.plane.renew()
            assert await rig.who() is not old
            assert await old.list_queues()
            await rig.plane.close()
            assert await old.list_queues()

    asyncio.run(live())


def test_what_is_missing_is_said_at_every_question(stage: Stage) -> None:
    async def live() -> None:
        rig = Rig(stage)
        good, rig.wanted = rig.wanted, replace(rig.wanted, api_key=Secret(""))
        with pytest.raises(ConfigurationError, match="no API key"):
            await rig.who()
        rig.wanted = good
        assert await rig.who()
        await rig.plane.close()

    asyncio.run(live())


def test_a_service_asks_where_it_serves_another_control_plane_or_there_is_no_key(stage: Stage) -> None:
    async def live() -> None:
        rig = Rig(stage)
        own = await rig.who()
        carried: list[str] = []

        async def carry(call: RelayedCall) -> HttpAnswer:
            carried.append(call.path)
            return HttpAnswer(status=200, headers={}, content=b'{"worker_queues": []}')

        service = rig.service = ShownService(control_plane_url=f"{stage.info.control_plane_url}/", carry=carry)
        assert await rig.who() is own
        rig.service = replace(service, control_plane_url="https://elsewhere.example")
        async with rig.plane.client() as client:
            assert (await client.list_queues(), client.server) == ([], "elsewhere.example")
        rig.service = service
        assert await rig.who() is not client
        rig.wanted = replace(rig.wanted, api_key=Secret(""))
        async with rig.plane.client() as client:
            assert await client.list_queues() == []
        assert carried == ["/worker-queues", "/worker-queues"]
        rig.service = None
        with pytest.raises(ConfigurationError):
            await rig.who()
        await rig.plane.close()

    asyncio.run(live())
