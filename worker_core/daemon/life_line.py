"""The worker's end of what ties it to its supervisor: its stdin. Keys come first; at its end, that is gone."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, MutableMapping
from typing import Final

import msgspec

from worker_core.basics import typed_json
from worker_core.errors import ConfigurationError

_PIECE_BYTES: Final = 4096


class _Told(msgspec.Struct):
    keys: dict[str, str]


def take_keys(environment: MutableMapping[str, str] = os.environ) -> None:
    """Read what the supervisor hands over, into the environment, from where each is taken once it is read.

    Raises:
        ConfigurationError: nobody handed anything over.
    """
    try:
        told = typed_json.decode(sys.stdin.buffer.readline(), _Told)
    except msgspec.DecodeError as error:
        raise ConfigurationError("A supervised worker is started by `kubiya-worker start --daemon` alone.") from error
    environment.update(told.keys)


def when_it_ends(call: Callable[[], None]) -> None:
    """Call, in a thread of its own, once the supervisor is gone."""

    def wait() -> None:
        while os.read(0, _PIECE_BYTES):
            pass
        call()

    threading.Thread(target=wait, name="life-line", daemon=True).start()
