"""Connection to Temporal, pollers, queue statistics, data converter."""

from __future__ import annotations

import dataclasses
import sys
from importlib.machinery import ModuleSpec
from importlib.util import LazyLoader
from typing import Any, Final

from worker_core.basics import quick_dataclass

_LATER: Final = ("temporalio.api.cloud", "temporalio.api.operatorservice", "temporalio.api.testservice")
"""Messages of those who administer Temporal, which the SDK names and a worker never sends: 42 modules."""


class _Later:
    """Finds modules that are read when somebody looks into them."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if not fullname.startswith(_LATER):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = LazyLoader(spec.loader)
                return spec
        return None


# The SDK's workflow sandbox, which is not used here, imports pydantic where `mcp` has brought it: 30 ms and 4 MB
# of every start. It is told that there is none. Its 230 dataclasses are made as ours are (`quick_dataclass.py`).
_hidden = "pydantic" not in sys.modules
if _hidden:
    sys.modules["pydantic"] = None  # type: ignore[assignment]
_standard = dataclasses.dataclass  # noqa: TID251
dataclasses.dataclass = quick_dataclass.dataclass  # noqa: TID251
sys.meta_path.insert(0, _later := _Later())
try:
    import temporalio.worker  # noqa: F401
finally:
    sys.meta_path.remove(_later)
    dataclasses.dataclass = _standard  # noqa: TID251
    if _hidden:
        del sys.modules["pydantic"]
