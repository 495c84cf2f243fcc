"""A sequence diagram's steps stand below each other, wide enough apart for their words, in their frames."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.models.diagrams import FrameBegin, Message, SequenceDiagram
from desktop.models.mermaid import read
from desktop.models.sequence_layout import SequencePlaces, place_sequence

LINES = ["A->>B: x", "B-->>A: words that are long", "A->>A: y", "C-)A: z", "Note over A,C: n", "Note right of C: r",
         "Note left of A: l", "loop i", "alt i", "else j", "end"]  # fmt: skip


def placed(diagram: SequenceDiagram) -> SequencePlaces:
    texts = {getattr(step, name, "") for step in diagram.steps for name in ("text", "kind")}
    words = {text: (8.0 * len(text), 14.0 if text else 0.0) for text in texts}
    heads = dict.fromkeys(range(len(diagram.participants)), (80.0, 30.0))
    return place_sequence(diagram, heads=heads, words=words)


def of(*lines: str) -> tuple[SequenceDiagram, SequencePlaces]:
    found = read("\n".join(("sequenceDiagram", "participant A", "participant B", "participant C", *lines)))
    assert isinstance(found, SequenceDiagram)
    return found, placed(found)


@given(st.lists(st.sampled_from(LINES), max_size=30))
@settings(max_examples=150, deadline=None)
def test_everything_is_in_the_picture_and_in_order(lines: list[str]) -> None:
    found = read("\n".join(("sequenceDiagram", "participant A", *lines, "A->>B: end")))
    if not isinstance(found, SequenceDiagram):
        return  # an end too many
    places = placed(found)
    width, height = places.size
    assert list(places.lifelines) == sorted(places.lifelines)
    heights = [one.begins[1] for one in places.messages]
    assert heights == sorted(heights)
    assert len(set(heights)) == len(heights)
    areas = [*places.heads, *(area for _, area in places.remarks), *(one.area for one in places.frames)]
    assert all(one.x >= -0.01 and one.x + one.width <= width + 0.01 and one.y + one.height <= height for one in areas)
    assert len(places.messages) == sum(isinstance(one, Message) for one in found.steps)
    assert len(places.frames) == sum(isinstance(one, FrameBegin) for one in found.steps)
    assert all(one.area.y <= y <= one.area.y + one.area.height for one in places.frames for y, _ in one.parts)


def test_words_between_neighbours_push_them_apart() -> None:
    said = "w" * 60
    diagram, places = of(f"A->>B: {said}", "B->>C: x")
    assert places.lifelines[1] - places.lifelines[0] >= 8 * len(said)
    assert places.lifelines[2] - places.lifelines[1] < 8 * len(said)
    assert [one.message for one in places.messages] == list(diagram.steps)


def test_frames_in_each_other_hold_each_other() -> None:
    _, places = of("loop a", "alt b", "A->>C: x", "else c", "C->>A: y", "end", "end")
    inner, outer = (one.area for one in places.frames)
    assert outer.x < inner.x
    assert outer.x + outer.width > inner.x + inner.width
    assert outer.y < inner.y
    assert outer.y + outer.height > inner.y + inner.height
    assert all(inner.y < one.begins[1] < inner.y + inner.height for one in places.messages)


def test_remarks_stand_beside_or_over() -> None:
    _, places = of("Note left of A: l", "Note right of C: r", "Note over A,C: all of them")
    [left, right, over] = [area for _, area in places.remarks]
    assert left.x + left.width < places.lifelines[0]
    assert right.x > places.lifelines[2]
    assert over.x < places.lifelines[0]
    assert over.x + over.width > places.lifelines[2]
    assert all(one.y + one.height < other.y for one, other in pairwise([left, right, over]))
