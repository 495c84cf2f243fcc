"""What an execution is started with: the argument of its workflow, as the control plane writes it.

New fields get defaults: histories written before they existed must still replay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Literal, Self

from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.shortening import LONGEST_TEXT, shortened

EntityKind = Literal["agents", "teams"]

LONGEST_ID = 200
"""Characters of an execution's id. Temporal takes 1000 bytes for what is made of it, and refuses the step otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutionInput:
    """What an execution is asked to do, by whatever workflow type (protocol, sections 7.3, 7.5, 7.7), nulls replaced.

    `api_key` and `control_plane_url` of the wire are left out on purpose: the worker uses its own.
    """

    execution_id: str
    kind: EntityKind
    entity_id: str
    organization_id: str
    prompt: str
    system_prompt: str = ""
    model_id: str = ""
    model_config: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    """The agent's or team's configuration."""

    mcp_servers: dict[str, Any] = field(default_factory=dict)
    user_metadata: dict[str, Any] = field(default_factory=dict)
    runtime_type: str = "default"
    """Empty: a dynamic execution that leaves it open."""

    initial_message_timestamp: str = ""
    inline: bool = False
    """No agent or team row exists: everything is in here (7.7)."""

    skill_ids: tuple[str, ...] = ()

    @property
    def unattended(self) -> bool:
        """Nobody is there who could answer: a run by schedule ends by itself."""
        return self.user_metadata.get("trigger_type") == "cron"

    @classmethod
    def from_wire(cls, raw: object, *, kind: EntityKind, fallback_id: str) -> Self:
        """Read the input of an agent's or team's workflow; what is null, absent or of a wrong type takes its default.

        Args:
            raw: the workflow's one argument.
            kind: by the type of the workflow.
            fallback_id: execution id where the input has none.
        """
        raw = raw if isinstance(raw, Mapping) else {}
        teams = kind == "teams"
        # The job path sends a team's configuration as `config` (7.5).
        config = (_object(raw, "team_config") or _object(raw, "config")) if teams else _object(raw, "agent_config")
        llm = _object(config, "llm") if teams else {}
        runtime = _text(raw, "runtime_type")
        if teams and runtime in {"", "default"}:
            runtime = _text(config, "runtime") or runtime
        return cls(
            execution_id=_text(raw, "execution_id")[:LONGEST_ID] or fallback_id,
            kind=kind,
            entity_id=_text(raw, "team_id" if teams else "agent_id"),
            organization_id=_text(raw, "organization_id"),
            prompt=shortened(_text(raw, "prompt"), LONGEST_TEXT),
            system_prompt=shortened(_text(raw, "system_prompt"), LONGEST_TEXT),
            model_id=_text(raw, "model_id") or _text(llm, "model"),
            model_config=_object(raw, "model_config") or {key: llm[key] for key in llm if key != "model"},
            config=config,
            mcp_servers=_object(raw, "mcp_servers"),
            user_metadata=_object(raw, "user_metadata"),
            runtime_type=runtime or "default",
            initial_message_timestamp=_text(raw, "initial_message_timestamp"),
        )

    @classmethod
    def from_dynamic_wire(cls, raw: object, *, fallback_id: str) -> Self:
        """Read the input of a dynamic execution (7.7)."""
        raw = raw if isinstance(raw, Mapping) else {}
        skills = raw.get("skill_ids")
        return cls(
            execution_id=_text(raw, "execution_id")[:LONGEST_ID] or fallback_id,
            kind="teams" if _text(raw, "entity_type") == "team" else "agents",
            entity_id=_text(raw, "entity_id"),
            organization_id=_text(raw, "organization_id"),
            prompt=shortened(_text(raw, "prompt"), LONGEST_TEXT),
            system_prompt=shortened(_text(raw, "system_prompt"), LONGEST_TEXT),
            model_id=_text(raw, "model_id"),
            model_config=_object(raw, "model_config"),
            config=_object(raw, "agent_config"),
            mcp_servers=_object(raw, "mcp_servers"),
            user_metadata=_object(raw, "user_metadata"),
            runtime_type=_text(raw, "runtime_type"),
            initial_message_timestamp=_text(raw, "initial_message_timestamp"),
            inline=True,
            skill_ids=tuple(one for one in skills if isinstance(one, str)) if isinstance(skills, list) else (),
        )


def _text(raw: Mapping[str, Any], key: str) -> str:
    value = raw.get(key)
    return value if isinstance(value, str) else ""


def _object(raw: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    return dict(value) if isinstance(value, dict) else {}
