"""`python -m tests.replay.record [NAME...]`: runs the scenarios on a real server and keeps their histories."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from temporalio.client import Client

from tests.replay.scenarios import SCENARIOS, history_of
from tests.support.playground import running_playground

HISTORIES = Path(__file__).parent / "histories"


def main() -> None:
    names = sys.argv[1:] or list(SCENARIOS)
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        sys.exit(f"There is no scenario named {unknown[0]}; there are: {', '.join(SCENARIOS)}.")
    with tempfile.TemporaryDirectory() as folder, running_playground(Path(folder) / "playground") as stage:

        async def record() -> None:
            temporal = await Client.connect(stage.info.temporal_host)
            for name in names:
                handle = await SCENARIOS[name](stage, temporal, Path(folder) / name)
                history = await history_of(handle)
                file = HISTORIES / f"{name}.json"
                file.write_text(json.dumps(history, separators=(",", ":")) + "\n")
                sys.stdout.write(f"{name}: {len(history['events'])} events, {file.stat().st_size:,} bytes\n")

        asyncio.run(record())
    sys.stdout.flush()
    os._exit(0)  # the SDK's threads do not always survive an interpreter's end


if __name__ == "__main__":
    main()
