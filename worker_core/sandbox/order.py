"""What a gate is told that stands behind its walls and waits for what it becomes (`Gate.order`).

The order lies in files without a name, which both ends have from the start; one byte says that it is there. Where the
worker is gone before that, the gate reads an end and goes as well.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from worker_core.sandbox.loans import OpenFile, empty


class GateOrder:
    """Given once.

    Raises:
        OSError: there are no more descriptors.

    """

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.go = OpenFile(reading)
        self._go = OpenFile(writing)
        self.words = empty()
        self.content = empty()
        # The gate may go, and this be let go of, while the order is given: then its descriptors are somebody else's.
        self._lock = threading.Lock()
        self._over = False

    @property
    def loans(self) -> tuple[OpenFile, ...]:
        """What the gate inherits."""
        return (self.go, self.words, self.content)

    @property
    def word(self) -> str:
        """For the gate's arguments."""
        return "order=" + ":".join(str(one.descriptor) for one in self.loans)

    def give(self, argv: Sequence[str], variables: Mapping[str, str], *, cwd: Path, stdin: bytes) -> None:
        """Say what the gate becomes.

        Args:
            argv: of the tool.
            variables: of the tool; PWD is set.
            cwd: where it starts, as it is called behind the walls.
            stdin: what it may read.

        Raises:
            OSError: the gate has gone, or there is no memory for it.

        """
        declared = [f"{name}={value}" for name, value in {**variables, "PWD": str(cwd)}.items()]
        words = ["1" if stdin else "", str(cwd), str(len(argv)), *argv, *declared]
        with self._lock:
            if self._over:
                raise BrokenPipeError(errno.EPIPE, "the gate has gone")
            self.words.fill(b"".join(os.fsencode(word) + b"\0" for word in words))
            self.content.fill(stdin)
            os.write(self._go.descriptor, b"!")
        self.end()

    def end(self) -> None:
        """Let go of it; a gate that has not been told anything goes. May be called again, from any thread."""
        with self._lock:
            self._over = True
            for one in (self._go, *self.loans):
                one.end()
