"""What a diagram says, apart from where it lies and how it looks: a flowchart, or who says what to whom. No Qt."""

from __future__ import annotations

from typing import Final, Literal

from worker_core.basics.quick_dataclass import dataclass

NODES: Final = 80
EDGES: Final = 160
GROUPS: Final = 16
DEPTH: Final = 4
"""Of groups, and of frames, in each other."""

PARTICIPANTS: Final = 16
STEPS: Final = 160
LABEL: Final = 160
"""Characters of a label; what is longer ends in an ellipsis."""

Shape = Literal[
    "box", "round", "stadium", "subroutine", "cylinder", "circle", "double", "flag", "diamond", "hexagon", "leaning",
    "trapezoid",
]  # fmt: skip
Direction = Literal["down", "up", "right", "left"]
Line = Literal["solid", "dotted", "thick", "hidden"]
End = Literal["", "arrow", "open", "circle", "cross"]
"""Of a line: nothing, a filled arrow, an open one, a point, a cross."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Something in a flowchart. `text` may have several lines; `group` is empty outside of every group."""

    id: str
    text: str
    shape: Shape = "box"
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowEdge:
    """A line between two nodes or groups, by their ids."""

    source: str
    target: str
    text: str = ""
    line: Line = "solid"
    begins: End = ""
    ends: End = "arrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowGroup:
    """What stands together, in another group or in none."""

    id: str
    text: str
    group: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flowchart:
    direction: Direction
    nodes: tuple[Node, ...]
    edges: tuple[FlowEdge, ...]
    groups: tuple[FlowGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """From one to another or to itself, by their places."""

    source: int
    target: int
    text: str
    line: Line = "solid"
    begins: End = ""
    ends: End = "arrow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Over the participants from one place to another, or beside one of them."""

    first: int
    last: int
    text: str
    side: Literal["over", "left", "right"] = "over"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameBegin:
    """A frame around what follows: `loop`, `alt`, `opt` and the like, and when."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameNext:
    """The next part of the innermost frame."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameEnd:
    """The innermost frame ends."""


Step = Message | Remark | FrameBegin | FrameNext | FrameEnd


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceDiagram:
    """Frames are always ended, and in each other."""

    participants: tuple[Participant, ...]
    steps: tuple[Step, ...]


Diagram = Flowchart | SequenceDiagram


def in_words(diagram: Diagram) -> list[str]:
    """A line for each connection, for who does not see it."""
    match diagram:
        case Flowchart():
            names = {one.id: " ".join(one.text.split()) for one in diagram.nodes}
            names |= {one.id: " ".join(one.text.split()) for one in diagram.groups}
            joined = {id_ for edge in diagram.edges for id_ in (edge.source, edge.target)}
            alone = [names[one.id] for one in diagram.nodes if one.id not in joined]
            return alone + [
                _arrow(names[one.source], names[one.target], one.text) for one in diagram.edges if one.line != "hidden"
            ]
        case SequenceDiagram():
            called = [" ".join(one.text.split()) for one in diagram.participants]
            said = []
            for step in diagram.steps:
                match step:
                    case Message():
                        said.append(_arrow(called[step.source], called[step.target], step.text))
                    case Remark() | FrameNext():
                        said.append(" ".join(step.text.split()))
                    case FrameBegin():
                        said.append(f"{step.kind}: {' '.join(step.text.split())}")
                    case FrameEnd():
                        pass
            return [one for one in said if one]


def _arrow(source: str, target: str, text: str) -> str:
    words = " ".join(text.split())
    return f"{source} → {target}: {words}" if words else f"{source} → {target}"
