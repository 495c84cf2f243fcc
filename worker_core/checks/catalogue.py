"""All checks of the doctor by their ids, which stay as they are: scripts and pages name them.

Each has a page, `docs/checks/ID.md`: what it asks, why that matters, and how to repair what it finds.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckEntry:
    """One check, before it was made."""

    name: str
    """For people."""

    asks: str
    """The question, in one line."""

    @property
    def id(self) -> str:
        return id_of(self.name)


def id_of(name: str) -> str:
    """The id of the check with this name."""
    return name.lower().replace(" ", "-")


_ALL: Final = (
    ("versions", "Which versions of the worker, of Python and of Temporal's SDK run here?"),
    ("settings", "Are the settings valid, and does everything that looks like one have an effect?"),
    ("policy", "Can the policy file be read?"),
    ("state folder", "Can the worker keep its state here, and nobody else write to it?"),
    ("temporary folder", "Is there a folder for temporary files, with room in it?"),
    ("logs", "Can the log be written?"),
    ("disk", "Is there room for workspaces and for events that wait?"),
    ("proxy", "Does the proxy answer that the control plane is reached through?"),
    ("DNS", "Can the control plane's name be looked up?"),
    ("TLS", "Is the control plane's certificate trusted, and for how long?"),
    ("control plane", "Does the control plane answer, and is it healthy?"),
    ("Temporal", "Does Temporal's port answer, with TLS where it is used?"),
    ("model gateway", "Does the model gateway of the settings answer, and take its key?"),
    ("keychain", "Does this machine keep secrets, and does it hold a key?"),
    ("API key", "Does the control plane take the API key?"),
    ("queue", "Can a worker register on each queue of the settings?"),
    ("clock", "Does this machine's clock agree with the control plane's?"),
    ("MCP hosts", "Do the MCP servers of `mcp_hosts` answer?"),
    ("sandbox", "What keeps tools from the rest of this machine?"),
    ("confinement", "What does the container, pod or unit around the worker take from it?"),
    ("GPUs", "Which GPUs has this machine, and do they answer?"),
    ("folders", "What do agents get of your own folders, which the settings grant?"),
    ("calls for you", "Does a message arrive by `notify_command` and `notify_webhook`?"),
    ("control socket", "Can other commands of yours reach a worker here?"),
    ("workers", "Which workers of yours run here, and do they answer?"),
    ("service", "Is a service installed that starts the worker, and is it well?"),
)

CATALOGUE: Final[Mapping[str, CheckEntry]] = {
    one.id: one for one in (CheckEntry(name=name, asks=asks) for name, asks in _ALL)
}
"""By id, in the order in which they build on each other."""


def page_name(check_id: str) -> str:
    """Where the page of a check is in the project."""
    return f"docs/checks/{check_id}.md"


def page(check_id: str) -> str:
    """The page of a check. An installed worker brings them; a checkout has them in `docs`.

    Raises:
        OSError: it is not there.
    """
    brought = Path(__file__).with_name("pages") / f"{check_id}.md"
    found = brought if brought.is_file() else Path(__file__).parents[2] / page_name(check_id)
    return found.read_text(encoding="utf-8")
