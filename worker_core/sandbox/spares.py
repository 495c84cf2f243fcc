"""A sandbox that is made before its call is known: a gate that stands behind its walls and waits for an order.

A model takes seconds between two calls, and the walls of the next one are nearly always those of the last. So after a
call another sandbox is made for its execution. The next call takes it if its own walls would be the same, word for word
(`Mechanism.kind`), and costs little more than starting its program; else it makes its own, as the first call did. A
spare is used once: nothing of a call is seen by another but the workspace.

What it costs while it waits: two or three sleeping processes. There is at most one for each workspace and `MOST` in
all, the oldest goes first, and none waits longer than `KEPT_SECONDS` or than its execution's turn.
"""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from worker_core.basics.quick_dataclass import dataclass
from worker_core.network.reachable import Network
from worker_core.sandbox.environment import CALL_MARK
from worker_core.sandbox.launcher import Command
from worker_core.sandbox.order import GateOrder

if TYPE_CHECKING:
    from worker_core.sandbox.processes.process import OutputSink, ProcessTree
    from worker_core.sandbox.scratch import Scratch

log = logging.getLogger(__name__)

KEPT_SECONDS: Final = 60.0
MOST: Final = 16
END_SECONDS: Final = 2.0
MAKING_SECONDS: Final = 1.0
"""How long a call waits for one that is being made; then it makes its own."""


class Mechanism(Protocol):
    """A launcher whose sandboxes can be made before their calls are known."""

    @property
    def name(self) -> str: ...

    @property
    def enforces(self) -> frozenset[str]: ...

    def door(self, port: int) -> str | None: ...

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command: ...

    def close(self) -> None: ...

    def kind(self, command: Command, *, workspace: Path, network: Network | None = None) -> Any:
        """Equal for commands that would stand behind the very same walls.

        Raises:
            OSError: there is no such workspace, or no such folder.

        """
        ...

    def of_kind(self, kind: Any, command: Command, *, workspace: Path, order: GateOrder | None = None) -> Command:
        """As `wrap`, of a command whose kind is known.

        Args:
            kind: of the command.
            command: what to run.
            workspace: the one folder of the worker's that it may write.
            order: the gate waits for it, and takes from it what to run.

        Raises:
            OSError: it cannot be made.

        """
        ...

    def variables(
        self, command: Command, *, workspace: Path, network: Network | None, scratch: Scratch | None
    ) -> dict[str, str]:
        """What it finds in its environment behind the walls.

        Args:
            command: what to run.
            workspace: of its execution.
            network: as for `wrap`.
            scratch: the folder of its sandbox's own, where its mechanism has one.

        """
        ...


class Spare:
    """One sandbox that waits. It is begun in the thread that makes it, and that thread must live on: bubblewrap ends
    with it (prctl(2), PR_SET_PDEATHSIG).

    Args:
        command: the sandbox, with the gate that waits for `order`.
        order: what the gate is told.

    Raises:
        OSError: it could not be started.

    """

    def __init__(self, command: Command, order: GateOrder) -> None:
        from worker_core.sandbox.processes.process import ProcessTree  # not before there is a call

        self._order = order
        self.scratch = command.scratch
        self._sink = _Sink()
        self._finished: Callable[[], None] | None = None
        """Of the tool; None: it has not become one."""

        self._used = False
        self._over = threading.Event()
        self._lock = threading.Lock()
        try:
            self.tree = ProcessTree(command, stdin=b"", output=self._sink, finished=self._end, waits=True)
        except BaseException:
            order.end()
            raise

    def become(
        self, command: Command, variables: Mapping[str, str], *, stdin: bytes, output: OutputSink,
        finished: Callable[[], None],
    ) -> bool:  # fmt: skip
        """Become a tool.

        Args:
            command: the tool.
            variables: that it finds in its environment.
            stdin: what it may read.
            output: takes what it prints.
            finished: called from a thread when everything of it is gone.

        Returns:
            False where the sandbox is of no use: nothing was started.

        """
        mark = command.environment.get(CALL_MARK, "")
        with self._lock:
            self._used = True
            usable = not (self._over.is_set() or self._sink.was_fed) and self.tree.becomes(mark)
        if not usable:
            self.end()
            return False
        self._sink.inner = output
        try:
            self._order.give(command.argv, variables, cwd=command.cwd, stdin=stdin)
        except OSError as error:
            log.debug("A sandbox that waited could not be used: %s", error)
            self._sink.inner = None
            self.end()
            return False
        with self._lock:
            over = self._over.is_set()
            if not over:
                self._finished = finished
        if over:
            finished()
        return True

    def end(self) -> None:
        """It is not needed."""
        self._order.end()
        self.tree.kill()

    def end_unless_used(self) -> None:
        """Who took it has gone without a start."""
        with self._lock:
            used = self._used
        if not used:
            self.end()

    def _end(self) -> None:
        self._order.end()
        with self._lock:
            self._over.set()
            finished, self._finished = self._finished, None
        self._sink.inner = None  # the tree knows us: in a circle, what was printed would stay until it is collected
        if finished is not None:
            finished()


class _Sink:
    """Passes on what it gets once somebody is there."""

    inner: OutputSink | None = None
    was_fed = False
    """The gate said something before it was told to become anything: something is wrong with its walls."""

    @property
    def full(self) -> bool:
        return self.inner is not None and self.inner.full

    def feed(self, piece: bytes) -> None:
        if self.inner is None:
            self.was_fed = True
        else:
            self.inner.feed(piece)

    def stop(self) -> None:
        if self.inner is not None:
            self.inner.stop()


@dataclass(frozen=True, slots=True, kw_only=True, weakref_slot=True)
class TakenSpare:
    """A spare that was taken for a command."""

    spare: Spare
    command: Command
    variables: Mapping[str, str]
    """That the command finds in its environment."""

    otherwise: Callable[[], Command]
    """In a sandbox of its own, where the spare is of no use."""

    def __post_init__(self) -> None:
        weakref.finalize(self, self.spare.end_unless_used)


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandOfSpares(Command):
    """What `Spares` makes of a call. Where a spare was taken for it, `argv` is empty: nobody starts it without one."""

    taken: TakenSpare | None = None
    prepare: Callable[[], None]
    """Makes a sandbox for the next one, unless the turn is over. It takes a few milliseconds: call it in a thread, when
    this one has ended."""

    def start(self, *, stdin: bytes, output: OutputSink, finished: Callable[[], None]) -> ProcessTree:
        """As `ProcessTree`.

        Raises:
            OSError: it could not be started.

        """
        from worker_core.sandbox.processes.process import ProcessTree

        if (taken := self.taken) is None:
            return ProcessTree(self, stdin=stdin, output=output, finished=finished)
        if taken.spare.become(taken.command, taken.variables, stdin=stdin, output=output, finished=finished):
            return taken.spare.tree
        return ProcessTree(taken.otherwise(), stdin=stdin, output=output, finished=finished)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Waiting:
    kind: object
    spare: Spare
    timer: threading.Timer

    def take(self) -> Spare:
        self.timer.cancel()
        return self.spare

    def end(self) -> None:
        self.take().end()


class _Making:
    """One that does not stand yet."""

    def __init__(self, kind: object) -> None:
        self.kind = kind
        self.done = threading.Event()
        self.is_wanted = False
        """A call waits for it, and gets it."""

        self.spare: Spare | None = None


class _Turn:
    """What a workspace is in use for: with it goes what was made for its calls, or is only about to be made."""

    over = False


class Spares:
    """A launcher that keeps a sandbox ready for each workspace in use. Safe to use from any thread."""

    def __init__(self, inner: Mechanism) -> None:
        self._inner = inner
        self._waiting: dict[Path, _Waiting] = {}
        """By workspace, the oldest first."""

        self._making: dict[Path, _Making] = {}
        self._turns: weakref.WeakValueDictionary[Path, _Turn] = weakref.WeakValueDictionary()
        self._closed = threading.Event()
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._inner.name

    @property
    def enforces(self) -> frozenset[str]:
        return self._inner.enforces

    def door(self, port: int) -> str | None:
        return self._inner.door(port)

    def wrap(self, command: Command, *, workspace: Path, network: Network | None = None) -> Command:
        def otherwise() -> Command:
            return self._inner.wrap(command, workspace=workspace, network=network)

        if not command.is_call:
            return otherwise()
        turn = self._turn_of(workspace)

        def prepare() -> None:
            self._make(turn, command, workspace, network)

        kind = self._inner.kind(command, workspace=workspace, network=network)
        if (spare := self._take(workspace, kind)) is None:
            own = self._inner.of_kind(kind, command, workspace=workspace)
            return CommandOfSpares(**{one.name: getattr(own, one.name) for one in fields(own)}, prepare=prepare)
        variables = self._inner.variables(command, workspace=workspace, network=network, scratch=spare.scratch)
        taken = TakenSpare(spare=spare, command=command, variables=variables, otherwise=otherwise)
        return CommandOfSpares(argv=(), cwd=command.cwd, environment=command.environment, taken=taken, prepare=prepare)

    def prepare(self, command: Command, *, workspace: Path, network: Network | None = None) -> None:
        """Make a spare like the sandbox of a command, in the place of what waits for its workspace. Where that fails,
        the next call makes its own.
        """
        self._make(self._turn_of(workspace), command, workspace, network)

    def leave(self, workspace: Path) -> None:
        with self._lock:
            if (turn := self._turns.pop(workspace, None)) is not None:
                turn.over = True
            found = self._waiting.pop(workspace, None)
        if found is not None:
            found.end()

    def close(self) -> None:
        """End those that wait, and make no more."""
        with self._lock:
            self._closed.set()
            waiting = list(self._waiting.values())
            self._waiting.clear()
        for one in waiting:
            one.end()
        for one in waiting:
            one.spare.tree.wait(END_SECONDS)
        self._inner.close()

    def _turn_of(self, workspace: Path) -> _Turn:
        with self._lock:
            if (turn := self._turns.get(workspace)) is None:
                turn = self._turns[workspace] = _Turn()
            return turn

    def _take(self, workspace: Path, kind: object) -> Spare | None:
        with self._lock:
            found = self._waiting.get(workspace)
            if found is not None and found.kind == kind:
                del self._waiting[workspace]
                return found.take()
            making = self._making.get(workspace)
            if making is None or making.is_wanted or making.kind != kind:
                return None
            making.is_wanted = True
        making.done.wait(MAKING_SECONDS)
        with self._lock:
            making.is_wanted = False
            return making.spare

    def _make(self, turn: _Turn, command: Command, workspace: Path, network: Network | None) -> None:
        try:
            kind = self._inner.kind(command, workspace=workspace, network=network)
        except OSError as error:
            log.debug("No sandbox waits for the next call: %s", error)
            return
        making = _Making(kind)
        with self._lock:
            if self._closed.is_set() or turn.over:
                return
            for there in (self._waiting.get(workspace), self._making.get(workspace)):
                if there is not None and there.kind == kind:
                    return
            self._making[workspace] = making
        spare: Spare | None = None
        try:
            order = GateOrder()
            spare = Spare(self._inner.of_kind(kind, command, workspace=workspace, order=order), order)
        except (OSError, RuntimeError) as error:  # RuntimeError: no more threads
            log.debug("No sandbox waits for the next call: %s", error)
        finally:
            self._made(turn, making, workspace, spare)

    def _made(self, turn: _Turn, making: _Making, workspace: Path, spare: Spare | None) -> None:
        """Give it to the call that waits for it, or have it wait for one."""
        gone: list[Spare] = []
        with self._lock:
            if self._making.get(workspace) is making:
                del self._making[workspace]
            if making.is_wanted:
                making.spare = spare
            elif spare is not None:
                if self._closed.is_set() or turn.over:
                    gone.append(spare)
                else:
                    gone += self._keep(workspace, making.kind, spare)
        making.done.set()
        for one in gone:
            one.end()

    def _keep(self, workspace: Path, kind: object, spare: Spare) -> list[Spare]:
        """Those that go for it."""
        gone = [] if (found := self._waiting.pop(workspace, None)) is None else [found.take()]
        if len(self._waiting) >= MOST:
            gone.append(self._waiting.pop(next(iter(self._waiting))).take())
        timer = threading.Timer(KEPT_SECONDS, lambda: self._forget(workspace, spare))
        timer.daemon = True
        try:
            timer.start()
        except RuntimeError:  # no more threads: nobody would end it
            return [*gone, spare]
        self._waiting[workspace] = _Waiting(kind=kind, spare=spare, timer=timer)
        return gone

    def _forget(self, workspace: Path, spare: Spare) -> None:
        with self._lock:
            if (found := self._waiting.get(workspace)) is not None and found.spare is spare:
                del self._waiting[workspace]
        spare.end()
