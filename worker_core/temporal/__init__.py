"""Connection to Temporal, pollers, queue statistics, data converter."""

from __future__ import annotations

import sys

# The SDK's workflow sandbox, which is not used here, imports pydantic where `mcp` has brought it: 30 ms and 4 MB
# of every start. It is told that there is none.
_hidden = "pydantic" not in sys.modules
if _hidden:
    sys.modules["pydantic"] = None  # type: ignore[assignment]
try:
    import temporalio.worker  # noqa: F401
finally:
    if _hidden:
        del sys.modules["pydantic"]
