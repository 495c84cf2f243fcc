"""The journal against a model: any order of calls, crashes and restarts."""

from __future__ import annotations

import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from worker_core.agents.activities.journal import Dispatched, Finished, Journal, JournalError, NotDispatched
from worker_core.tools.base import ToolResult

IDS = st.sampled_from(["a", "b", "../a", "A"])


class JournalMachine(RuleBasedStateMachine):
    """Any order of calls, crashes and restarts: the journal says what the model says."""

    results = Bundle("results")

    def __init__(self) -> None:
        super().__init__()
        self.name = tempfile.mkdtemp()
        self.journal = Journal(Path(self.name))
        self.model: dict[tuple[str, str], NotDispatched | Dispatched | Finished] = {}

    @rule(target=results, succeeded=st.booleans(), output=st.text(st.characters(codec="utf-8"), max_size=20))
    def a_result(self, succeeded: bool, output: str) -> ToolResult:
        return ToolResult(succeeded=succeeded, output=output, output_bytes=len(output))

    @rule(execution=IDS, call=IDS)
    def mark(self, execution: str, call: str) -> None:
        if (execution, call) in self.model:
            with pytest.raises(JournalError):
                self.journal.mark_dispatched(execution, call)
        else:
            self.journal.mark_dispatched(execution, call)
            self.model[execution, call] = Dispatched()

    @rule(execution=IDS, call=IDS, result=results)
    def record(self, execution: str, call: str, result: ToolResult) -> None:
        self.journal.record(execution, call, result)
        self.model[execution, call] = Finished(result)

    @rule(execution=IDS, call=IDS, keep=st.floats(0, 0.99))
    def tear(self, execution: str, call: str, keep: float) -> None:
        file = self.journal._file(execution, call)
        if file.exists():
            content = file.read_bytes()
            file.write_bytes(content[: int(len(content) * keep)])
            self.model[execution, call] = Dispatched()

    @rule(execution=IDS)
    def forget(self, execution: str) -> None:
        self.journal.forget(execution)
        self.model = {key: value for key, value in self.model.items() if key[0] != execution}

    @rule()
    def restart(self) -> None:
        self.journal = Journal(Path(self.name))

    @rule()
    def sweep_nothing(self) -> None:
        assert self.journal.sweep(older_than=timedelta(hours=1), now=time.time()) == 0

    @rule()
    def sweep_everything(self) -> None:
        self.journal.sweep(older_than=timedelta(hours=-1), now=time.time())
        self.model.clear()

    @invariant()
    def it_says_what_the_model_says(self) -> None:
        for execution in ("a", "b", "../a", "A"):
            for call in ("a", "b", "../a", "A"):
                assert self.journal.outcome(execution, call) == self.model.get((execution, call), NotDispatched())

    def teardown(self) -> None:
        shutil.rmtree(self.name)


JournalMachine.TestCase.settings = settings(max_examples=40, stateful_step_count=25)
TestJournalMachine = JournalMachine.TestCase
