"""Where the parts of a sequence diagram lie: a column for each participant, and one step below the other. No Qt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from desktop.models.diagrams import FrameBegin, FrameEnd, FrameNext, Message, Remark, SequenceDiagram
from desktop.models.flow_layout import Area
from desktop.models.layers import Point, Size
from worker_core.basics.quick_dataclass import dataclass

COLUMN: Final = 120.0
"""Between two lifelines, at least."""

STEP: Final = 16.0
LOOP: Final = 34.0
"""How far a message to oneself goes."""

FRAME: Final = 14.0
"""What stands out of a frame on each side."""

PADDING: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MessagePlace:
    """From where to where it leads, and the middle of its words. To oneself it leads out and back, one below other."""

    message: Message
    begins: Point
    ends: Point
    words: Point


@dataclass(frozen=True, slots=True, kw_only=True)
class FramePlace:
    """A frame, and below the first what stands at each line across it."""

    kind: str
    text: str
    area: Area
    parts: tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SequencePlaces:
    heads: tuple[Area, ...]
    lifelines: tuple[float, ...]
    messages: tuple[MessagePlace, ...]
    remarks: tuple[tuple[Remark, Area], ...]
    frames: tuple[FramePlace, ...]
    size: Size


def place_sequence(diagram: SequenceDiagram, *, heads: Mapping[int, Size], words: Mapping[str, Size]) -> SequencePlaces:
    """Lay a sequence diagram out.

    Args:
        diagram: what is drawn.
        heads: sizes of the participants' boxes, by their places.
        words: sizes of all other texts.
    """
    return _Placing(diagram, heads, words).place()


class _Placing:
    def __init__(self, diagram: SequenceDiagram, heads: Mapping[int, Size], words: Mapping[str, Size]) -> None:
        self._diagram, self._heads, self._words = diagram, heads, words
        self._columns = self._across()
        self._left, self._right = 0.0, 0.0

    def _across(self) -> list[float]:
        """As near as heads and words between neighbours let them be."""
        count = len(self._diagram.participants)
        gaps = [
            max(COLUMN, (self._heads[one][0] + self._heads[one + 1][0]) / 2 + 2 * PADDING) for one in range(count - 1)
        ]
        for step in self._diagram.steps:
            match step:
                case Message() if step.source == step.target:
                    first, last, need = step.source, step.source + 1, LOOP + self._words[step.text][0] + 3 * PADDING
                case Message():
                    first, last = sorted((step.source, step.target))
                    need = self._words[step.text][0] + 4 * PADDING
                case Remark(side="over") if step.first != step.last:
                    first, last, need = step.first, step.last, self._words[step.text][0]
                case Remark(side="right"):
                    first, last, need = step.first, step.first + 1, self._words[step.text][0] + 5 * PADDING
                case Remark(side="left"):
                    first, last, need = step.first - 1, step.first, self._words[step.text][0] + 5 * PADDING
                case _:
                    continue
            if first < 0 or last >= count:
                continue
            missing = need - sum(gaps[first:last])
            for one in range(first, last) if missing > 0 else ():
                gaps[one] += missing / (last - first)
        columns = [0.0]
        for gap in gaps:
            columns.append(columns[-1] + gap)
        return columns

    def place(self) -> SequencePlaces:
        tall = max(size[1] for size in self._heads.values())
        heads = [
            Area(x=x - self._heads[one][0] / 2, y=0.0, width=self._heads[one][0], height=tall)
            for one, x in enumerate(self._columns)
        ]
        self._left = min(one.x for one in heads)
        self._right = max(one.x + one.width for one in heads)
        y = tall + STEP
        messages: list[MessagePlace] = []
        remarks: list[tuple[Remark, Area]] = []
        frames: list[FramePlace] = []
        opened: list[tuple[FrameBegin, float, list[tuple[float, str]], list[float]]] = []

        def touched(*xs: float) -> None:
            self._left, self._right = min(self._left, *xs), max(self._right, *xs)
            for *_, reached in opened:
                reached += xs

        for step in self._diagram.steps:
            match step:
                case Message():
                    width, height = self._words[step.text]
                    begins, ends = self._columns[step.source], self._columns[step.target]
                    y += height + 4
                    if step.source == step.target:
                        words = (begins + LOOP + PADDING + width / 2, y - height / 2 + 5)
                        messages.append(
                            MessagePlace(message=step, begins=(begins, y - 8), ends=(begins, y + 12), words=words)
                        )
                        touched(begins, begins + LOOP + 2 * PADDING + width)
                        y += 12 + STEP
                    else:
                        middle = ((begins + ends) / 2, y - height / 2 - 3)
                        messages.append(MessagePlace(message=step, begins=(begins, y), ends=(ends, y), words=middle))
                        touched(begins, ends, middle[0] - width / 2, middle[0] + width / 2)
                        y += STEP
                case Remark():
                    area = self._remark(step, y)
                    remarks.append((step, area))
                    touched(area.x, area.x + area.width)
                    y += area.height + STEP
                case FrameBegin():
                    opened.append((step, y, [], []))
                    y += self._words[step.text][1] + PADDING + STEP
                case FrameNext() if opened:
                    opened[-1][2].append((y, step.text))
                    y += self._words[step.text][1] + PADDING + STEP / 2
                case FrameEnd() if opened:
                    begun, top, parts, reached = opened.pop()
                    reached = reached or [self._columns[0], self._columns[-1]]
                    title = self._words[begun.text][0] + self._words[begun.kind][0] + 6 * PADDING
                    left, right = min(reached) - FRAME, max(reached) + FRAME
                    right = max(right, left + title, *(left + self._words[text][0] + 4 * PADDING for _, text in parts))
                    frames.append(
                        FramePlace(
                            kind=begun.kind, text=begun.text, parts=tuple(parts),
                            area=Area(x=left, y=top, width=right - left, height=y - top),
                        )
                    )  # fmt: skip
                    touched(left, right)
                    y += STEP
                case _:
                    pass
        shift = -self._left
        return SequencePlaces(
            heads=tuple(one.moved((shift, 0)) for one in heads),
            lifelines=tuple(x + shift for x in self._columns),
            messages=tuple(
                MessagePlace(
                    message=one.message, begins=(one.begins[0] + shift, one.begins[1]),
                    ends=(one.ends[0] + shift, one.ends[1]), words=(one.words[0] + shift, one.words[1]),
                )
                for one in messages
            ),
            remarks=tuple((one, area.moved((shift, 0))) for one, area in remarks),
            frames=tuple(
                FramePlace(kind=one.kind, text=one.text, parts=one.parts, area=one.area.moved((shift, 0)))
                for one in frames
            ),
            size=(self._right - self._left, y),
        )  # fmt: skip

    def _remark(self, remark: Remark, y: float) -> Area:
        width, height = self._words[remark.text]
        width, height = width + 2 * PADDING, height + 2 * PADDING
        first, last = self._columns[remark.first], self._columns[remark.last]
        if remark.side == "right":
            x = first + PADDING
        elif remark.side == "left":
            x = first - PADDING - width
        else:
            width = max(width, last - first + 4 * PADDING)
            x = (first + last - width) / 2
        return Area(x=x, y=y, width=width, height=height)
