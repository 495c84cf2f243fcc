"""`httpcore2`, without what it loads to know its own version: e-mail, CSV and ZIP, a megabyte that nobody here reads.

It asks `importlib.metadata` for that number while it is imported, and never looks at it again. So another module stands
in for that one, until somebody asks it for more: it is loaded then, and answers.
"""

from __future__ import annotations

import importlib
import sys
import threading
from importlib.util import find_spec
from types import ModuleType
from typing import Any, Final

_NAME: Final = "importlib.metadata"
_LOCK: Final = threading.Lock()


class _StandIn(ModuleType):
    def version(self, distribution_name: str) -> str:
        return "" if distribution_name == "httpcore2" else str(self._real().version(distribution_name))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)

    def _real(self) -> Any:
        with _LOCK:
            if sys.modules.get(_NAME) is self:
                del sys.modules[_NAME]
        return importlib.import_module(_NAME)


def _stand_in() -> None:
    if _NAME in sys.modules or "httpcore2" in sys.modules:
        return
    found = _StandIn(_NAME)
    found.__spec__ = spec = find_spec(_NAME)
    found.__path__ = [] if spec is None else list(spec.submodule_search_locations or ())
    sys.modules[_NAME] = found
    importlib.metadata = found  # where `import importlib.metadata` finds it


_stand_in()
import httpcore2  # noqa: E402

__all__ = ["httpcore2"]
