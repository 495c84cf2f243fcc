"""How things look: alignment, narrow terminals, words that stay whole, and text that is safe."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from worker_core.basics.plain import width
from worker_core.basics.sizes import size
from worker_core.cli import screen
from worker_core.cli.conversation import TurnOutcome
from worker_core.cli.facts import Fact, read
from worker_core.cli.stream_view import OUTPUT_LINES, StreamView
from worker_core.cli.wrapping import Wrapper
from worker_core.network.sse import ServerSentEvent

ID = "6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d"


def terminal(columns: int, *, colour: bool = False) -> Console:
    from worker_core.cli.screen import _THEME

    return Console(
        file=io.StringIO(), force_terminal=True, width=columns, theme=_THEME, highlight=False, markup=False,
        color_system="standard" if colour else None, legacy_windows=False,
    )  # fmt: skip


def shown(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_table_is_aligned() -> None:
    console = terminal(80)
    screen.table(console, ("ID", "NAME", "WORKERS"), [["1", "laptops", "3"], ["22", "日本", "0"]])
    assert shown(console) == "ID  NAME     WORKERS\n1   laptops  3\n22  日本     0\n"


def test_a_table_that_does_not_fit_is_stacked_and_ids_stay_whole() -> None:
    console = terminal(30)
    screen.table(console, ("ID", "NAME"), [[ID, "a name"], [ID, "another"]])
    assert shown(console) == f"id    {ID}\nname  a name\n\nid    {ID}\nname  another\n"


def test_what_servers_say_cannot_move_the_cursor() -> None:
    console = terminal(80)
    screen.table(console, ("A", "B"), [["\x1b[2Jx\x07", "two\nlines [red]no markup[/red]"]])
    assert shown(console).splitlines()[1] == "x  two lines [red]no markup[/red]"


def test_a_sentence_is_wrapped_under_itself() -> None:
    console = terminal(30)
    screen.fields(console, [("name", "a sentence that is longer than its line")])
    assert shown(console) == "name  a sentence that is\n      longer than its line\n"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0 ms"), (0.0304, "30 ms"), (0.1, "0.1 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min"), (60, "1 min"),
     (185, "3 min 5 s"), (3600, "1 h"), (7440, "2 h 4 min"), (86400, "1 d"), (180000, "2 d 2 h")],
)  # fmt: skip
def test_durations(seconds: float, said: str) -> None:
    assert screen.duration(seconds) == said


def test_how_long_ago() -> None:
    assert screen.ago(None) == "never"
    assert screen.ago(datetime.now(UTC) + timedelta(minutes=5)) == "0 s ago"
    assert screen.ago(datetime.now(UTC) - timedelta(hours=2)) == "2 h ago"


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (84_000_000, "84 MB"), (2 * 10**12, "2.0 TB")]
)
def test_sizes(count: int, said: str) -> None:
    assert size(count) == said


@given(st.lists(st.text(alphabet="ab \n\t日é", max_size=12), max_size=20), st.integers(5, 40))
def test_wrapping_loses_no_word_and_exceeds_no_line(pieces: list[str], columns: int) -> None:
    wrapper = Wrapper(columns)
    written = "".join(map(wrapper.feed, pieces)) + wrapper.flush()
    text = "".join(pieces)
    assert written.split() == text.split()
    assert written.count("\n") >= text.count("\n")
    for line in written.split("\n"):
        assert width(line) <= columns or len(line.split()) <= 1


@given(st.lists(st.text(max_size=8), max_size=10))
def test_what_is_no_terminal_gets_the_text_as_it_is(pieces: list[str]) -> None:
    wrapper = Wrapper(None)
    assert "".join(map(wrapper.feed, pieces)) + wrapper.flush() == "".join(pieces)


FIELDS = ("data", "content", "parts", "answer", "approval_id")
JSON = st.recursive(
    st.none() | st.text(max_size=5) | st.integers(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["data", "content", "parts", "answer"]), inner)
    ),
)
KINDS = ("message", "message_chunk", "tool_started", "tool_completed", "error", "status", "done", "thinking_delta",
         "approval_requested", "approval_answered")  # fmt: skip


@given(st.text(max_size=60) | JSON.map(json.dumps), st.sampled_from(KINDS))
def test_no_event_breaks_the_view(data: str, kind: str) -> None:
    fact = read(ServerSentEvent(event=kind, data=data, id="1"))
    view = StreamView(terminal(40))
    view.take(fact)
    view.end(TurnOutcome(execution_id="e", status="completed"))


def chunk(text: str, message_id: str = "m1") -> Fact:
    return Fact(kind="message_chunk", data={"content": text, "message_id": message_id})


def started(name: str = "shell", call_id: str = "c1", **arguments: object) -> Fact:
    data = {"tool_name": name, "tool_execution_id": call_id, "tool_arguments": arguments}
    return Fact(kind="tool_started", data=data)


def completed(output: str, *, call_id: str = "c1", error: str | None = None) -> Fact:
    return Fact(
        kind="tool_completed",
        data={
            "tool_name": "shell", "tool_execution_id": call_id, "status": "failed" if error else "success",
            "tool_output": output, "tool_error": error, "duration_ms": 200,
        },
    )  # fmt: skip


def test_an_execution_in_the_terminal() -> None:
    console = terminal(40)
    view = StreamView(console)
    for fact in (
        chunk("I will look at this folder "), chunk("and count."), started(command="ls -la | wc -l"), completed("3\n"),
        chunk("There are "), chunk("three files.", "m1"),
    ):  # fmt: skip
        view.take(fact)
    view.end(TurnOutcome(execution_id="e", status="completed", seconds=1.25, usage={"total_tokens": 1234}, model="m"))
    assert shown(console) == (
        "I will look at this folder and count.\n\n"
        "● shell  ls -la | wc -l\n  │ 3\n  ✓ 0.2 s\n\n"
        "There are three files.\n\n"
        "✓ completed · 1.2 s · 1 tool call · 1,234 tokens · m\n"
    )


def test_long_output_is_cut_at_the_end_that_matters_less() -> None:
    lines = [f"line {number}" for number in range(20)]
    console = terminal(60)
    view = StreamView(console)
    view.take(started(command="x"))
    view.take(completed("\n".join(lines)))
    assert f"  │ line {OUTPUT_LINES - 1}\n  │ … 12 more lines\n  ✓ 0.2 s\n" in shown(console)
    failing = terminal(60)
    view = StreamView(failing)
    view.take(started(command="x"))
    view.take(completed("\n".join(lines), error="It exited with code 3."))
    assert "  │ … 12 more lines\n  │ line 12\n" in shown(failing)
    assert "  │ line 19\n  ✗ It exited with code 3. · 0.2 s\n" in shown(failing)


def test_calls_side_by_side_are_told_apart() -> None:
    console = terminal(60)
    view = StreamView(console)
    for fact in (started(call_id="a", command="one"), started("python", call_id="b", code="two"),
                 completed("1", call_id="a"), completed("2", call_id="b")):  # fmt: skip
        view.take(fact)
    assert shown(console) == (
        "● shell  one\n\n● python  two\n\n● shell\n  │ 1\n  ✓ 0.2 s\n\n● python\n  │ 2\n  ✓ 0.2 s\n"
    )


def test_an_error_is_said_once() -> None:
    console = terminal(80)
    view = StreamView(console)
    view.take(Fact(kind="error", data={"severity": "error", "details": {"error_message": "The model is gone."}}))
    view.end(TurnOutcome(execution_id="e", status="failed", error="The model is gone."))
    assert shown(console).count("The model is gone.") == 1
    assert "✗ failed" in shown(console)


def test_whoever_looks_on_is_told_that_it_waits_for_an_answer_and_how_to_give_it() -> None:
    console = terminal(100)
    view = StreamView(console)
    view.take(chunk("I will push."))
    parts = [
        {"name": "command", "text": "git push", "kind": "argument"},
        {"text": "No rule\nallows it.", "kind": "reason"},
    ]
    question = {"approval_id": "01cd05d1-4f4e", "tool_name": "shell", "parts": parts}
    view.take(Fact(kind="approval_requested", data=question))
    view.take(Fact(kind="approval_answered", data={"approval_id": "01cd05d1-4f4e", "answer": "allow", "by": "Ada"}))
    view.take(started(command="git push"))
    view.take(completed("done"))
    hostile = {"tool_name": "budget", "approval_id": "; rm -rf", "message": "budget asks its user"}
    view.take(Fact(kind="approval_requested", data=hostile))
    view.take(Fact(kind="approval_answered", data={"answer": "timeout"}))
    assert shown(console) == (
        "I will push.\n\n"
        "? shell waits for an answer  No rule allows it.\n"
        "  answer it: kubiya-worker approvals allow 01cd05d1, or deny, where its worker runs\n"
        "  ✓ allowed · Ada\n\n"
        "● shell  git push\n  │ done\n  ✓ 0.2 s\n\n"
        "? budget waits for an answer  budget asks its user\n"
        "  answer it: kubiya-worker approvals where its worker runs\n"
        "  ✗ nobody answered\n"
    )


def test_what_models_and_tools_say_is_harmless() -> None:
    console = terminal(60)
    view = StreamView(console)
    view.take(chunk("a\x1b]0;title\x07b\x1b[2J"))
    view.take(started(command="\x1b[31m$(x)\r"))
    view.take(completed("\x1b[1A\x1b[2Kgone\x9b5m"))
    view.end(TurnOutcome(execution_id="e", status="completed"))
    assert not {character for character in shown(console) if ord(character) < 32} - {"\n"}
    assert "\x9b" not in shown(console)


def test_one_accent_colour_and_no_colour_that_leaks() -> None:
    console = terminal(60, colour=True)
    view = StreamView(console)
    view.take(started(command="ls"))
    view.take(completed("x"))
    assert "\x1b[36m● \x1b[0m" in shown(console)
    assert all(line.count("\x1b[0m") * 2 == line.count("\x1b[") for line in shown(console).splitlines())
