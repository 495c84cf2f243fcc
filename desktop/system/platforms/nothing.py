"""For systems that do not tell, or do not offer."""

from __future__ import annotations

from collections.abc import Callable


class NoPowerEvents:
    def listen(self, *, on_sleep: Callable[[], None], on_wake: Callable[[], None]) -> bool:
        return False

    def ready_to_sleep(self) -> None:
        pass

    def close(self) -> None:
        pass
