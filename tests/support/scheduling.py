"""Which process of pytest-xdist runs which file, also after one of them crashed."""

from __future__ import annotations

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling
from xdist.workermanage import WorkerController


class WholeFiles(LoadFileScheduling):
    """`--dist loadfile`, which a crashed process does not hold up.

    pytest-xdist 3.8.0 queues all files that the process ever had anew, those done as well and the test that crashed
    it. The first kind is handed to a process that then waits for the end of no test, for ever; the second crashes the
    next one. A file of one test keeps its process waiting, too: it begins a test only when it knows the one after it.
    """

    def remove_node(self, node: WorkerController) -> str | None:
        files = self.assigned_work[node]
        left = [(file, test) for file, tests in files.items() for test, done in tests.items() if not done]
        self.assigned_work[node] = {}
        super().remove_node(node)
        if not left:
            return None
        (_, crashed), *others = left
        for file, test in others:
            self.workqueue.setdefault(file, {})[test] = False
        for other in self.nodes:
            self._reschedule(other)
        return crashed

    def _reschedule(self, node: WorkerController) -> None:
        if node in self.registered_collections:  # one that is starting asks by itself
            super()._reschedule(node)

    def schedule(self) -> None:
        super().schedule()
        super().schedule()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> WholeFiles:
    return WholeFiles(config, log)
