"""When streamed text leaves, by a clock that the test holds."""

from hypothesis import given
from hypothesis import strategies as st

from worker_core.control_plane.outbox.batching import ChunkBatcher


def test_the_first_piece_leaves_at_once():
    batcher = ChunkBatcher(window_seconds=0.1)
    (batch,) = batcher.add("m", "Hello", {}, now=5.0)
    assert batch.text == "Hello"
    assert batcher.empty
    assert batcher.next_due() is None


def test_what_follows_is_gathered_until_the_window_is_over():
    batcher = ChunkBatcher(window_seconds=0.1)
    batcher.add("m", "a", {}, now=0.0)
    assert batcher.add("m", "b", {}, now=0.01) == []
    assert batcher.add("m", "c", {}, now=0.05) == []
    assert batcher.next_due() == 0.1
    assert batcher.due(now=0.099) == []
    (batch,) = batcher.due(now=0.1)
    assert batch.text == "bc"
    assert batch.pieces == ["b", "c"]


def test_a_piece_after_a_silent_window_leaves_at_once():
    batcher = ChunkBatcher(window_seconds=0.1)
    batcher.add("m", "a", {}, now=0.0)
    (batch,) = batcher.add("m", "b", {}, now=0.1)
    assert batch.text == "b"


def test_messages_do_not_wait_for_each_other():
    batcher = ChunkBatcher(window_seconds=0.1)
    batcher.add("m", "a", {}, now=0.0)
    (batch,) = batcher.add("n", "b", {}, now=0.01)
    assert batch.message_id == "n"


def test_another_phase_sends_what_is_pending_first():
    batcher = ChunkBatcher(window_seconds=0.1)
    batcher.add("m", "a", {"phase": "pre"}, now=0.0)
    batcher.add("m", "b", {"phase": "pre"}, now=0.01)
    (batch,) = batcher.add("m", "c", {"phase": "post"}, now=0.02)
    assert (batch.text, batch.extra) == ("b", {"phase": "pre"})
    (rest,) = batcher.flush(now=0.03)
    assert (rest.text, rest.extra) == ("c", {"phase": "post"})


@given(
    st.lists(
        st.tuples(st.sampled_from("mn"), st.text(min_size=1, max_size=3), st.floats(0.0, 0.2), st.booleans()),
        max_size=60,
    )
)
def test_no_text_is_lost_delayed_or_sent_too_often(pieces):
    batcher = ChunkBatcher(window_seconds=0.1)
    now, came, left = 0.0, {"m": "", "n": ""}, {"m": "", "n": ""}
    waiting_since: dict[str, float] = {}
    last_left: dict[str, float] = {}

    def leave(batches):
        for batch in batches:
            left[batch.message_id] += batch.text
            assert now - waiting_since.pop(batch.message_id, now) <= 0.1 + 1e-9
            assert now - last_left.get(batch.message_id, -1.0) >= 0.1 - 1e-9
            last_left[batch.message_id] = now

    for message_id, text, pause, _ in pieces:
        until = now + pause
        while (due := batcher.next_due()) is not None and due <= until:
            now = due
            leave(batcher.due(now=now))
        now = until
        came[message_id] += text
        waiting_since.setdefault(message_id, now)
        leave(batcher.add(message_id, text, {}, now=now))
    for batch in batcher.flush(now=now):
        left[batch.message_id] += batch.text
    assert left == came
