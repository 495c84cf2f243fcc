"""What a new playground holds: one environment, one queue, one agent with its first skills."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from typing import Final
from uuid import uuid4

from worker_core.basics.quick_dataclass import dataclass
from worker_core.playground.context import ORGANIZATION
from worker_core.playground.store import Row, Store, now_text
from worker_core.secrets import Secret

SKILLS: Final[dict[str, tuple[str, Row]]] = {
    "shell": ("Runs shell commands in the execution's workspace.", {}),
    "file_system": ("Reads, writes, edits, lists and searches files in the workspace.", {}),
    "python": ("Runs Python code in the workspace.", {}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Keys that a playground made for itself; the same over restarts."""

    api_key: Secret
    llm_api_key: Secret


def credentials(file: Path) -> Credentials:
    """Read the keys from `file`, or make them and write it, readable by its owner alone.

    Raises:
        OSError: the file cannot be read or written.
    """
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return Credentials(api_key=Secret(found["api_key"]), llm_api_key=Secret(found["llm_api_key"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        pass
    made = {"api_key": secrets.token_urlsafe(32), "llm_api_key": secrets.token_urlsafe(32)}
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        json.dump(made, stream)
    return Credentials(api_key=Secret(made["api_key"]), llm_api_key=Secret(made["llm_api_key"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """Ids of the things that every playground has."""

    environment_id: str
    queue_id: str
    agent_id: str


def seed(store: Store) -> Seed:
    """Fill an empty store; a filled one is left as it is."""
    if (found := _find(store)) is not None:
        return found
    at = now_text()
    new = Seed(environment_id=str(uuid4()), queue_id=str(uuid4()), agent_id=str(uuid4()))
    stamp = {"organization_id": ORGANIZATION, "created_at": at, "updated_at": at}
    with store.transaction():
        store.insert(
            "environments",
            {**stamp, "id": new.environment_id, "name": "default", "display_name": "Default", "status": "ready",
             "description": "The playground's environment", "tags": [], "settings": {},
             "execution_environment": {}},
        )  # fmt: skip
        store.insert(
            "queues",
            {**stamp, "id": new.queue_id, "environment_id": new.environment_id, "name": "default",
             "display_name": "Default", "description": "The playground's queue", "status": "active",
             "heartbeat_interval": 30, "tags": [], "settings": {}, "created_by": "playground",
             "ephemeral": False, "single_execution": False},
        )  # fmt: skip
        store.insert(
            "agents",
            {**stamp, "id": new.agent_id, "name": "demo-agent", "status": "idle", "capabilities": [],
             "description": "Runs commands, edits files and runs Python in its workspace.",
             "configuration": {}, "llm_config": {}, "runtime": "default", "execution_environment": {},
             "environment_ids": [new.environment_id], "state": {}},
        )  # fmt: skip
        for name, (description, configuration) in SKILLS.items():
            skill_id = str(uuid4())
            store.insert(
                "skills",
                {**stamp, "id": skill_id, "name": name, "type": name, "description": description,
                 "icon": "Wrench", "enabled": True, "configuration": configuration},
            )  # fmt: skip
            store.insert(
                "skill_associations",
                {**stamp, "id": str(uuid4()), "entity_type": "agent", "entity_id": new.agent_id,
                 "skill_id": skill_id, "configuration_override": {}},
            )  # fmt: skip
        for name in ("environment_id", "queue_id", "agent_id"):
            store.insert("facts", {"name": name, "value": getattr(new, name)})
    return new


def adopt_model(store: Store, *, agent_id: str, model_id: str | None) -> None:
    """Give the demo agent the gateway's model, unless a person chose another one for it."""
    agent = store.get("agents", id=agent_id)
    before = store.get("facts", name="adopted_model")
    adopted = before["value"] if before else None
    if agent is None or agent["model_id"] not in (None, adopted):
        return
    store.update("agents", {"model_id": model_id}, id=agent_id)
    store.insert("facts", {"name": "adopted_model", "value": model_id}, on_conflict="REPLACE")


def _find(store: Store) -> Seed | None:
    facts = {row["name"]: row["value"] for row in store.find("facts")}
    try:
        return Seed(environment_id=facts["environment_id"], queue_id=facts["queue_id"], agent_id=facts["agent_id"])
    except KeyError:
        return None
