"""The control plane's enforcer: it may make a decision stricter, and never milder."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.logs.redaction import Redactor, masked_data
from worker_core.settings import SettingsInForce

log = logging.getLogger(__name__)


class Enforcer:
    """Asked about each call where the setting `enforcer` is on."""

    def __init__(self, *, client: ControlPlaneClient, settings: SettingsInForce, redactor: Redactor) -> None:
        """`redactor` masks the arguments that are sent."""
        self._client = client
        self._in_force = settings
        self._redactor = redactor

    async def refusal(self, *, tool: str, arguments: Mapping[str, Any], execution_id: str, entity_id: str) -> str:
        """Why it refuses a call, to stand behind "denied"; empty where it does not, or is not asked."""
        if not self._in_force.current.enforcer:
            return ""
        try:
            verdict = await self._client.enforce(
                {
                    "action": "tool_execution",
                    "tool": {
                        "name": tool,
                        "arguments": masked_data(arguments, self._redactor.mask),
                        "source": "agent",
                        "category": "tool",
                        "risk_level": "medium",
                    },
                    "execution": {
                        "execution_id": execution_id,
                        "agent_id": entity_id,
                        "environment": "",
                        "timestamp": datetime.now(UTC).isoformat(),
                    },
                    "metadata": {},
                }
            )
        except (ControlPlaneError, ValueError) as error:
            if self._in_force.current.enforcer_required:
                return f"since the control plane's enforcer did not answer, and the settings require it ({error})"
            log.warning("The control plane's enforcer did not answer; the call is decided without it. %s", error)
            return ""
        if verdict.allow:
            return ""
        names = ", ".join(str(one)[:80] for one in verdict.policies[:5])
        return f"by the control plane's enforcer{f' (policies: {names})' if names else ''}"
