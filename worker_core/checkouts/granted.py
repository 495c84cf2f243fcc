"""The folders of the settings that an execution would get, for commands that judge what it may do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from worker_core.basics.home import expanded
from worker_core.basics.quick_dataclass import dataclass
from worker_core.basics.sentences import worded
from worker_core.checkouts.granting import FolderFinding, findings, given, start_in
from worker_core.checkouts.record import CheckoutError
from worker_core.checkouts.reserved import reserved_by
from worker_core.errors import ConfigurationError
from worker_core.paths import Paths
from worker_core.sandbox.launcher import WORKSPACE_ALONE, WorkPlace
from worker_core.settings import Settings

_BETWEEN_SERVER_AND_TOOL = "__"
"""In the name of an MCP server's tool; no other tool has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """What an execution of some ids gets of the owner's folders."""

    place: WorkPlace
    ids: frozenset[str]
    findings: tuple[FolderFinding, ...]
    """Of every folder of the settings, whoever it is for."""

    for_servers: bool = False
    """It is asked for an MCP server's tool: they get none."""

    def notes(self, touched: Sequence[str]) -> list[str]:
        """What an owner may wonder at, of the folders that these absolute paths are in, as sentences."""
        return list(dict.fromkeys(said for one in self._of(touched) if (said := self._note(one))))

    def is_for_others(self, touched: Sequence[str]) -> bool:
        """Whether one of those folders is granted, and not to these ids."""
        return not self.for_servers and any(not one.grant.is_for(self.ids) for one in self._of(touched))

    def _of(self, touched: Sequence[str]) -> list[FolderFinding]:
        found = []
        for text in touched:
            within = [one for one in self.findings if _holds(one, Path(text))]
            found += sorted(within, key=lambda one: len(one.grant.path.parts))
        return found

    def _note(self, found: FolderFinding) -> str:
        grant = found.grant
        if self.for_servers:
            return worded("{folder} is granted, but MCP servers see no folder of yours.", folder=str(grant.path))
        if not grant.is_for(self.ids):
            return worded("{folder} is granted to {ids} alone.", folder=str(grant.path), ids=", ".join(grant.only_for))
        if found.refused:
            return found.sentence
        if grant.mode == "worktree":
            return worded("Of {folder} executions get copies; itself it is given to none.", folder=str(grant.path))
        if found.narrowed:
            return found.sentence
        if found.writable:
            return ""
        return worded("{folder} is granted for reading alone: what would write there fails.", folder=str(grant.path))


def granted_to(ids: Iterable[str], *, settings: Settings, paths: Paths, cwd: str = "", tool: str = "") -> Granted:
    """As a worker with these settings would begin the call.

    Args:
        ids: of queue, agent and team; none: of the queue of the settings, where there is one alone.
        settings: of this machine.
        paths: of this installation.
        cwd: the granted folder that the execution asked to work in; empty: its workspace.
        tool: whose call it is.

    Raises:
        ConfigurationError: it could not work in `cwd`.
    """
    known = tuple(ids) or (settings.queue_ids if len(settings.queue_ids) == 1 else ())
    reserved = reserved_by(settings, paths)
    all_of_them = tuple(findings(settings.folders, among=settings.folders, reserved=reserved))
    for_servers = _BETWEEN_SERVER_AND_TOOL in tool
    if for_servers:
        return Granted(place=WORKSPACE_ALONE, ids=frozenset(known), findings=all_of_them, for_servers=True)
    found = given(settings.folders, ids=known, reserved=reserved)
    start = None
    if cwd:
        try:
            start = start_in(str(expanded(cwd).absolute()), found)
        except CheckoutError as error:
            raise ConfigurationError(f"No execution could work in {cwd}: {error.sentence}") from error
        if start is None:
            why = Granted(place=WORKSPACE_ALONE, ids=frozenset(known), findings=all_of_them).notes(
                [str(expanded(cwd).absolute())]
            )
            said = " ".join(why) or "It is in no folder that `folders` in the settings grants."
            raise ConfigurationError(f"No execution would work in {cwd} itself. {said}")
    return Granted(place=WorkPlace(folders=found.folders, start=start), ids=frozenset(known), findings=all_of_them)


def _holds(found: FolderFinding, path: Path) -> bool:
    places = {found.grant.path, found.leads_to}
    return any(place is not None and path.is_relative_to(place) for place in places)
