"""The worker's own programs, as the measurements start them."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import httpx2

from bench.processes import running

PROGRAM: Final = (sys.executable, "-m", "worker_core")


@contextlib.contextmanager
def scripted_playground(folder: Path, *, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """A control plane, a Temporal and a scripted model in a process of their own; what it says of itself as JSON.

    Args:
        folder: for what they keep.
        environment: of the process.
    """
    serve = [*PROGRAM, "playground", "serve", "--json", "--data-dir", str(folder)]
    with running(serve, until="{", environment={**environment, "KUBIYA_PLAYGROUND_SCRIPTED": "1"}) as started:
        yield json.loads(started.line)


def new_queue(info: Mapping[str, str], name: str) -> str:
    """The id of another queue of a playground, beside the one that it has."""
    headers = {"Authorization": f"Bearer {info['api_key']}"}
    with httpx2.Client(base_url=f"{info['control_plane_url']}/api/v1", headers=headers, trust_env=False) as plane:
        environments = plane.get("/environments").raise_for_status().json()
        made = plane.post(f"/environments/{environments[0]['id']}/worker-queues", json={"name": name})
        return str(made.raise_for_status().json()["id"])


def access(info: Mapping[str, str]) -> dict[str, str]:
    """The variables by which a worker finds a playground and is let in."""
    return {"KUBIYA_API_KEY": info["api_key"], "CONTROL_PLANE_URL": info["control_plane_url"]}
