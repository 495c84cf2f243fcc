"""The settings of a worker that runs: shown with their origins, and read again when somebody asks for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from worker_core.policy.file import BrokenPolicy, PolicyFile
from worker_core.secrets import Secret
from worker_core.settings import (
    SETTINGS,
    Adopted,
    Fault,
    Kind,
    Origin,
    Reading,
    Reloaded,
    Settings,
    SettingsSource,
    ShownSetting,
    as_text,
    rows,
)
from worker_core.snapshot import EngineSnapshot

log = logging.getLogger(__name__)


class Adopting(Protocol):
    """What is asked of an engine."""

    snapshot: EngineSnapshot

    @property
    def settings(self) -> Settings: ...
    def adopt(self, settings: Settings) -> Adopted: ...


class RunningSettings:
    """Of one engine. Belongs to its event loop."""

    def __init__(
        self,
        *,
        engine: Adopting,
        source: SettingsSource,
        reading: Reading,
        policy: PolicyFile,
        on_adopted: Callable[[Settings], None],
    ) -> None:
        """Nothing is read.

        Args:
            engine: goes on with new settings.
            source: where they come from.
            reading: what it had at the start.
            policy: a broken one is a fault too; it is read anew with every call anyway.
            on_adopted: hears of the settings in force, for what is no matter of the engine.
        """
        self._engine = engine
        self._source = source
        self._reading = reading
        self._policy = policy
        self._on_adopted = on_adopted
        self._one_at_a_time = asyncio.Lock()

    async def reload(self) -> Reloaded:
        """Read everything again. A fault changes nothing. Never raises; what came of it stands in the log as well."""
        async with self._one_at_a_time:
            reading, faults = await asyncio.to_thread(self._read)
        if faults:
            more = f" `kubiya-worker config check` names {len(faults) - 1} more." if len(faults) > 1 else ""
            said = f"The settings were left as they are: {faults[0].sentence}{more}"
            log.error("%s", said)
            return Reloaded(sentence=said, faults=faults)
        adopted = self._engine.adopt(reading.settings())
        self._reading = reading
        self._on_adopted(self._engine.settings)
        said = " ".join((_sentence(self._engine.settings, adopted), *(one.sentence for one in reading.remarks)))
        log.info("%s", said)
        return Reloaded(sentence=said, applied=adopted.applied, later=adopted.later)

    def rows(self) -> list[ShownSetting]:
        """As they are in force. What waits for the next start is shown as it still is."""
        return rows(self._engine.settings, self._reading, others=_decided_elsewhere(self._engine.snapshot))

    def _read(self) -> tuple[Reading, tuple[Fault, ...]]:
        reading = self._source.read()
        faults = list(reading.faults)
        try:
            self._policy.rules()
        except BrokenPolicy as error:
            faults.append(Fault(sentence=error.said, file=str(self._policy.path), line=error.line))
        return reading, tuple(faults)


def _sentence(settings: Settings, adopted: Adopted) -> str:
    if not adopted.applied and not adopted.later:
        return "The settings were read again: nothing has changed."
    said = []
    for name in adopted.applied:
        value = as_text(getattr(settings, name)) or "empty"
        said.append(f"{name} {'was replaced' if SETTINGS[name].kind is Kind.SECRET else f'is {value} now'}")
    if adopted.later:
        verb = "takes" if len(adopted.later) == 1 else "take"
        said.append(f"{', '.join(adopted.later)} {verb} effect at the next start")
    return f"The settings were read again: {'; '.join(said)}."


def _decided_elsewhere(snapshot: EngineSnapshot) -> dict[str, tuple[object, Origin]]:
    """What holds where no file, variable or flag decided: the control plane's word, or this machine's size."""
    machine, server = Origin(source="machine"), Origin(source="server")
    found: dict[str, tuple[object, Origin]] = {"max_executions": (snapshot.executions_limit, machine)}
    configs = [queue.config for queue in snapshot.queues if queue.config.heartbeat_seconds]
    if beats := sorted({one.heartbeat_seconds for one in configs}):
        found["heartbeat_interval"] = (", ".join(f"{one:g} s" for one in beats), server)
    if gateways := sorted({one.model_gateway for one in configs if one.model_gateway}):
        found["llm_base_url"] = (", ".join(gateways), server)
    if any(one.has_model_key for one in configs):
        found["llm_api_key"] = (Secret("known"), server)
    return found
