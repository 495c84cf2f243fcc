from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_core.agents import compaction
from worker_core.agents.messages import Message, ToolCall


def message(role: str, content: str, *, calls: int = 0) -> Message:
    return Message(
        role=role,
        content=content,
        timestamp="t",
        message_id="m",
        tool_calls=tuple(ToolCall(call_id=str(n), name="shell", arguments="{}") for n in range(calls)),
    )


@st.composite
def conversations(draw: st.DrawFn) -> list[Message]:
    """As they happen: a user, then answers, each with its tools' outputs."""
    said = []
    for _ in range(draw(st.integers(1, 6))):
        said.append(message("user", draw(st.text(max_size=400))))
        for _ in range(draw(st.integers(0, 4))):
            calls = draw(st.integers(0, 3))
            said.append(message("assistant", draw(st.text(max_size=200)), calls=calls))
            said.extend(message("tool", draw(st.text(max_size=800))) for _ in range(calls))
    return said


@given(conversations(), st.integers(0, 400))
def test_what_stays_is_a_conversation_of_its_own(said: list[Message], keep_tokens: int) -> None:
    cut = compaction.split(said, keep_tokens=keep_tokens)
    assert 0 <= cut < len(said)
    assert cut != 1  # a summary of one message would not be shorter
    assert said[cut].role != "tool" or cut == 0


@given(conversations(), st.integers(50, 3000))
def test_bounded_fits_or_is_as_short_as_it_gets(said: list[Message], limit: int) -> None:
    short = compaction.bounded(said, limit_tokens=limit)
    assert [one.role for one in short] == [one.role for one in said]
    fits = sum(len(one.content) for one in short) <= limit * compaction.CHARACTERS_PER_TOKEN
    assert fits or all(len(one.content) <= 2 * compaction.SHORTEST + 60 for one in short)
    if not compaction.is_due(said, prompt_tokens=0, limit_tokens=limit):
        assert short == said


def test_bytes_count_as_json_counts_them() -> None:
    said = [message("user", "\x01" * 300_000)]  # six bytes each in JSON
    assert compaction.size_of_all(said) > compaction.LARGEST_CONVERSATION_BYTES
    assert compaction.is_due(said, prompt_tokens=0, limit_tokens=10**9)
    [short] = compaction.bounded(said, limit_tokens=10**9)
    assert compaction.size_of(short) <= compaction.LARGEST_CONVERSATION_BYTES
    assert "characters left out" in short.content


def test_the_gateways_own_count_wins() -> None:
    said = [message("user", "short"), message("assistant", "yes")]
    assert not compaction.is_due(said, prompt_tokens=0, limit_tokens=1000)
    assert compaction.is_due(said, prompt_tokens=801, limit_tokens=1000)
