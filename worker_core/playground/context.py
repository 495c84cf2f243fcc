"""What every request handler of the playground may use, and the things every handler needs to say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final
from uuid import UUID

from worker_core.basics.quick_dataclass import dataclass
from worker_core.secrets import Secret

if TYPE_CHECKING:
    from temporalio.client import Client

    from worker_core.playground.gateway import PlaygroundGateway
    from worker_core.playground.hub import Hub
    from worker_core.playground.store import Store

ORGANIZATION: Final = "playground"
NAMESPACE: Final = "default"
SERVER_VERSION: Final = "1.0.2"
"""The version of the control plane whose behaviour this one repeats (facts: protocol, 2.1)."""

USER: Final = {
    "user_id": "playground-user",
    "user_name": "Playground",
    "user_email": "you@playground.local",
    "user_avatar": None,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    store: Store
    hub: Hub
    temporal: Client
    temporal_host: str
    public_url: str
    """Where this control plane answers; no final slash."""
    gateway: PlaygroundGateway
    api_key: Secret


class Problem(Exception):
    """Ends a request with a status and FastAPI's `{"detail": ...}`."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class Crash(Exception):
    """Ends a request with the plain-text 500 that the real server gives where it did not expect the input."""


def uuid_text(value: str) -> str:
    """`value` in the form ids are stored in.

    Raises:
        Crash: it is no UUID; the real server answers 500 (facts: protocol, 12).
    """
    try:
        return str(UUID(value))
    except ValueError as error:
        raise Crash(f"{value!r} is not a UUID") from error
