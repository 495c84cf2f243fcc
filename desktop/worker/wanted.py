"""What a start of the worker, or a question to its control plane, needs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from worker_core.basics.quick_dataclass import dataclass
from worker_core.secrets import Secret
from worker_core.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    settings: Settings
    api_key: Secret


Provide = Callable[[], Awaitable[Wanted]]
"""Reads settings and key anew; raises KubiyaError where one is missing."""
