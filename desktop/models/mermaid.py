"""Reads Mermaid's flowcharts and sequence diagrams, as https://mermaid.js.org/syntax/ has them. No Qt.

What a model writes is hostile: nothing here is run or loaded, whatever it is, and all that it may have is bounded. What
is not understood, or is too much, is no diagram; its source can be read. While it grows, its last line may be half.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from html import unescape
from typing import Final

from desktop.models.diagrams import (
    DEPTH,
    EDGES,
    GROUPS,
    LABEL,
    NODES,
    PARTICIPANTS,
    STEPS,
    Diagram,
    Direction,
    End,
    Flowchart,
    FlowEdge,
    FlowGroup,
    FrameBegin,
    FrameEnd,
    FrameNext,
    Line,
    Message,
    Node,
    Participant,
    Remark,
    SequenceDiagram,
    Shape,
    Step,
)

TEXT: Final = 20_000
"""Characters of a source that is read."""

LINE: Final = 1_000
"""Characters of one of its lines."""

_HEADER: Final = re.compile(r"(?:graph|flowchart(?:-elk)?)(?: (TB|TD|BT|RL|LR|[v^<>]))? ?;?", re.ASCII)
_DIRECTIONS: Final[dict[str, Direction]] = {
    "": "down", "TB": "down", "TD": "down", "v": "down", "BT": "up", "^": "up", "LR": "right", ">": "right",
    "RL": "left", "<": "left",
}  # fmt: skip
_PASSED_OVER: Final = re.compile(
    r"(?:classDef|class|style|linkStyle|click|direction|accTitle|accDescr|title|autonumber|activate|deactivate|destroy"
    r"|links?|properties|details)\b"
)
_SUBGRAPH: Final = re.compile(r"subgraph\b ?")
_NAMED: Final = re.compile(r"([\w.-]+) ?\[(.*)\] ?$")
_ID: Final = re.compile(r"(?:[\w.]|-(?![-.>])|=(?![=>])|[/*+!?$'](?=\w))+")
_CLASS: Final = re.compile(r":::[\w-]+")
_DATA: Final = re.compile(r"@\{([^{}]{0,300})\}")
_DATA_LABEL: Final = re.compile(r"label ?: ?[\"']?([^\"',]{0,200})")
_SHAPES: Final[tuple[tuple[str, tuple[tuple[str, Shape], ...]], ...]] = (
    ("(((", ((")))", "double"),)),
    ("((", (("))", "circle"),)),
    ("([", (("])", "stadium"),)),
    ("[[", (("]]", "subroutine"),)),
    ("[(", ((")]", "cylinder"),)),
    ("{{", (("}}", "hexagon"),)),
    ("[/", (("/]", "leaning"), ("\\]", "trapezoid"))),
    ("[\\", (("\\]", "leaning"), ("/]", "trapezoid"))),
    ("[", (("]", "box"),)),
    ("(", ((")", "round"),)),
    ("{", (("}", "diamond"),)),
    (">", (("]", "flag"),)),
)
_LINK: Final = re.compile(r" ?(?:([<xo])(?=-|=))?(~~~+|-\.+-([>xo])?|==+([>xo])?|--+([>xo])?)(?![-.=])")
_SAID_LINK: Final = re.compile(
    r" ?(?:([<xo])(?=-|=))?(?:--(?![->xo]) ?(.{1,250}?) ?--+([>xo])?"
    r"|==(?![=>xo]) ?(.{1,250}?) ?==+([>xo])?|-\.(?![-.]) ?(.{1,250}?) ?\.+-([>xo])?)(?![-.=])"
)
_ON_LINK: Final = re.compile(r" ?\|([^|]{0,300})\|")
_ENDS: Final[dict[str, End]] = {"": "", ">": "arrow", "<": "arrow", "x": "cross", "o": "circle", ")": "open"}

_PARTICIPANT: Final = re.compile(r"(?:create )?(?:participant|actor) (.{1,300})$")
_MESSAGE: Final = re.compile(
    r"([^:<>\n]{1,120}?) ?(<<)?(--?)(>>|>|x(?= ?[+-]? ?\S)|\)) ?[+-]? ?([^:]{1,120}?) ?(?::(.*))?$"
)
_REMARK: Final = re.compile(r"note (left of|right of|over) ([^:,]{1,120}?)(?:,([^:]{1,120}?))? ?:(.*)$", re.IGNORECASE)
_FRAME: Final = re.compile(r"(loop|alt|opt|par|critical|break|rect|box)\b(.*)$")
_NEXT: Final = re.compile(r"(else|and|option)\b(.*)$")

_TAG: Final = re.compile(r"</?[a-zA-Z][^<>]{0,60}>")
_BREAK: Final = re.compile(r"<br ?/?>|\\n", re.IGNORECASE)
_ENTITY: Final = re.compile(r"#(\d{1,7}|[a-zA-Z]{1,12});")
_PICTURE: Final = re.compile(r"\bfa[bsrl]?:fa-[\w-]{1,40}")


class _NotRead(Exception):
    """No diagram that is drawn here."""


def read(source: str) -> Diagram | None:
    """The diagram, or None where it is of another kind, is not understood, or is more than is drawn. Never raises."""
    if len(source) > TEXT:
        return None
    lines = _lines(source)
    try:
        if not lines:
            return None
        if (header := _HEADER.match(lines[0])) is not None:
            rest = lines[0][header.end() :].strip()
            chart = _Chart(_DIRECTIONS[header[1] or ""])
            return chart.read(([rest] if rest else []) + lines[1:])
        if lines[0].rstrip(";") == "sequenceDiagram":
            return _Talk().read(lines[1:])
    except _NotRead:
        pass
    return None


def _lines(source: str) -> list[str]:
    """Without comments and settings; blanks are single, so that no pattern has many ways to take them."""
    found: list[str] = []
    in_front = False
    for written in source.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        line = " ".join(written.split())
        if line == "---" and not found:
            in_front = not in_front
        elif line and not in_front and not line.startswith("%%"):
            found.append(line)
    return found


def _clean(text: str) -> str:
    """A label as it is drawn: lines, no markup, no more than it may have."""
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1].strip()
    if len(text) > 1 and text[0] == text[-1] == "`":
        text = text[1:-1].strip()
    text = _BREAK.sub("\n", text[: 4 * LABEL])
    text = _PICTURE.sub("", _TAG.sub("", text))
    text = _ENTITY.sub(lambda found: unescape(f"&#{found[1]};" if found[1].isdigit() else f"&{found[1]};"), text)
    text = "".join(sign if sign == "\n" or sign.isprintable() else " " for sign in unescape(text))
    text = "\n".join(words for line in text.split("\n") if (words := " ".join(line.split())))
    return text if len(text) <= LABEL else text[: LABEL - 1].rstrip() + "…"


def _each(lines: Iterable[str], read_one: Callable[[str], None]) -> None:
    """Read line after line; the last one may be half."""
    lines = list(lines)
    for number, line in enumerate(lines, 1):
        try:
            if len(line) > LINE:
                raise _NotRead
            read_one(line)
        except _NotRead:
            if number < len(lines):
                raise


class _TooMuch(Exception):
    """More than is drawn, wherever it stands."""


class _Chart:
    """A flowchart while it is read."""

    def __init__(self, direction: Direction) -> None:
        self._direction = direction
        self._nodes: dict[str, Node] = {}
        self._edges: list[FlowEdge] = []
        self._groups: dict[str, FlowGroup] = {}
        self._open: list[str] = []

    def read(self, lines: list[str]) -> Flowchart:
        try:
            _each(lines, self._line)
        except _TooMuch:
            raise _NotRead from None
        nodes = [one for one in self._nodes.values() if one.id not in self._groups]
        filled = self._filled(nodes)
        known = {one.id for one in nodes} | filled
        edges = [one for one in self._edges if one.source in known and one.target in known]
        if not nodes:
            raise _NotRead
        return Flowchart(
            direction=self._direction,
            nodes=tuple(nodes),
            edges=tuple(edges),
            groups=tuple(one for one in self._groups.values() if one.id in filled),
        )

    def _filled(self, nodes: list[Node]) -> set[str]:
        """Groups that have a node somewhere in them."""
        found: set[str] = set()
        for node in nodes:
            at = node.group
            while at and at not in found:
                found.add(at)
                at = self._groups[at].group
        return found

    def _line(self, line: str) -> None:
        if line.rstrip("; ") == "end":
            if not self._open:
                raise _NotRead
            self._open.pop()
        elif (begins := _SUBGRAPH.match(line)) is not None:
            self._begin(line[begins.end() :].rstrip("; "))
        elif not _PASSED_OVER.match(line):
            self._statements(line)

    def _begin(self, said: str) -> None:
        named = _NAMED.match(said)
        id_, text = (named[1], _clean(named[2])) if named is not None else (said.strip('"'), _clean(said))
        if not id_ or id_ in self._groups:
            id_ = f"\n{len(self._groups)}"  # no other can be called so
        if len(self._groups) == GROUPS or len(self._open) == DEPTH:
            raise _TooMuch
        self._groups[id_] = FlowGroup(id=id_, text=text, group=self._open[-1] if self._open else "")
        self._open.append(id_)

    def _statements(self, line: str) -> None:
        place = 0
        while place < len(line):
            place = self._chain(line, place)
            if place < len(line) and line[place] != ";":
                raise _NotRead
            place = _blank(line, place + 1)

    def _chain(self, line: str, place: int) -> int:
        """Nodes, and links between them."""
        sources, place = self._side(line, place)
        while (link := self._link(line, place)) is not None:
            made, place = link
            targets, place = self._side(line, _blank(line, place))
            for source in sources:
                for target in targets:
                    if len(self._edges) == EDGES:
                        raise _TooMuch
                    self._edges.append(replace(made, source=source, target=target))
            sources = targets
        return _blank(line, place)

    def _side(self, line: str, place: int) -> tuple[list[str], int]:
        """`A & B`: each of them is meant."""
        found = []
        while True:
            id_, place = self._node(line, place)
            found.append(id_)
            at = _blank(line, place)
            if at >= len(line) or line[at] != "&":
                return found, place
            place = _blank(line, at + 1)

    def _node(self, line: str, place: int) -> tuple[str, int]:
        named = _ID.match(line, place)
        if named is None:
            raise _NotRead
        id_, place = named[0], named.end()
        text: str | None = None
        shape: Shape = "box"
        if (data := _DATA.match(line, place)) is not None:
            place = data.end()
            if (label := _DATA_LABEL.search(data[1])) is not None:
                text = _clean(label[1])
        elif (drawn := _shape(line, place)) is not None:
            text, shape, place = drawn
        if (styled := _CLASS.match(line, place)) is not None:
            place = styled.end()
        known, group = self._nodes.get(id_), self._open[-1] if self._open else ""
        if known is None:
            if len(self._nodes) == NODES + GROUPS:
                raise _TooMuch
            self._nodes[id_] = Node(id=id_, text=_clean(id_) if text is None else text, shape=shape, group=group)
            if sum(1 for one in self._nodes if one not in self._groups) > NODES:
                raise _TooMuch
        elif text is not None or (group and not known.group):
            self._nodes[id_] = Node(
                id=id_,
                text=known.text if text is None else text,
                shape=known.shape if text is None else shape,
                group=known.group or group,
            )
        return id_, place

    @staticmethod
    def _link(line: str, place: int) -> tuple[FlowEdge, int] | None:
        """The line itself; its ends are not known yet."""
        kinds: dict[str, Line] = {"-": "solid", "=": "thick", ".": "dotted", "~": "hidden"}
        found = _LINK.match(line, place)
        if found is not None and found[2] not in {"--", "=="}:
            drawn, text, end = found[2], "", found[3] or found[4] or found[5] or ""
            kind = kinds["." if "." in drawn else drawn[0]]
            place = found.end()
            if (said := _ON_LINK.match(line, place)) is not None:
                text, place = said[1], said.end()
        elif (found := _SAID_LINK.match(line, place)) is not None:
            text, end = found[2] or found[4] or found[6] or "", found[3] or found[5] or found[7] or ""
            kind = "solid" if found[2] else "thick" if found[4] else "dotted"
            place = found.end()
        else:
            return None
        begins = _ENDS[found[1] or ""]
        return FlowEdge(source="", target="", text=_clean(text), line=kind, begins=begins, ends=_ENDS[end]), place


def _blank(line: str, place: int) -> int:
    while place < len(line) and line[place] in " \t":
        place += 1
    return place


def _shape(line: str, place: int) -> tuple[str, Shape, int] | None:
    for opens, closings in _SHAPES:
        if not line.startswith(opens, place):
            continue
        inside = _blank(line, place + len(opens))
        if line.startswith('"', inside) and (quote := line.find('"', inside + 1)) > 0:
            after = _blank(line, quote + 1)
            for closes, shape in closings:
                if line.startswith(closes, after):
                    return _clean(line[inside : quote + 1]), shape, after + len(closes)
        ends = [(at, closes, shape) for closes, shape in closings if (at := line.find(closes, inside)) >= 0]
        if ends:
            at, closes, shape = min(ends)
            return _clean(line[inside:at]), shape, at + len(closes)
    return None


class _Talk:
    """A sequence diagram while it is read."""

    def __init__(self) -> None:
        self._who: dict[str, tuple[int, str]] = {}
        self._steps: list[Step] = []
        self._open: list[bool] = []
        """For each frame that is open, whether it is drawn."""

    def read(self, lines: list[str]) -> SequenceDiagram:
        try:
            _each(lines, self._line)
        except _TooMuch:
            raise _NotRead from None
        if not self._who:
            raise _NotRead
        while self._open:
            self._end()
        who = sorted(self._who.items(), key=lambda one: one[1][0])
        return SequenceDiagram(
            participants=tuple(Participant(id=id_, text=text) for id_, (_, text) in who), steps=tuple(self._steps)
        )

    def _line(self, line: str) -> None:
        line = line.rstrip("; ")
        if line == "end":
            self._end()
        elif (named := _PARTICIPANT.match(line)) is not None:
            id_, _, text = named[1].partition(" as ")
            self._place(id_.partition("@{")[0].strip(), _clean(text))
        elif (remark := _REMARK.match(line)) is not None:
            self._remark(remark)
        elif (frame := _FRAME.match(line)) is not None and ":" not in frame[2].split("#", 1)[0]:
            self._begin(frame[1], frame[2])
        elif (more := _NEXT.match(line)) is not None and self._open:
            if self._open[-1]:
                self._add(FrameNext(text=_clean(more[2])))
        elif (said := _MESSAGE.match(line)) is not None:
            self._message(said)
        elif line and not _PASSED_OVER.match(line):
            raise _NotRead

    def _message(self, said: re.Match[str]) -> None:
        source, target = self._place(said[1].strip()), self._place(said[5].strip())
        ends: dict[str, End] = {">>": "arrow", ">": "", "x": "cross", ")": "open"}
        kind: Line = "dotted" if len(said[3]) > 1 else "solid"
        begins: End = "arrow" if said[2] else ""
        self._add(
            Message(
                source=source, target=target, text=_clean(said[6] or ""), line=kind, begins=begins, ends=ends[said[4]]
            )
        )

    def _remark(self, said: re.Match[str]) -> None:
        first = self._place(said[2].strip())
        last = self._place(said[3].strip()) if said[3] and said[3].strip() else first
        side = said[1].lower()
        self._add(
            Remark(
                first=min(first, last),
                last=max(first, last),
                text=_clean(said[4]),
                side="left" if side.startswith("left") else "right" if side.startswith("right") else "over",
            )
        )

    def _begin(self, kind: str, text: str) -> None:
        drawn = kind not in {"rect", "box"}  # a ground in a colour of its own, which no theme knows
        if len(self._open) == DEPTH:
            raise _TooMuch
        self._open.append(drawn)
        if drawn:
            self._add(FrameBegin(kind=kind, text=_clean(text)))

    def _end(self) -> None:
        if not self._open:
            raise _NotRead
        if self._open.pop():
            self._steps.append(FrameEnd())

    def _add(self, step: Step) -> None:
        if len(self._steps) >= STEPS:
            raise _TooMuch
        self._steps.append(step)

    def _place(self, id_: str, text: str = "") -> int:
        """Of a participant, who comes with being mentioned."""
        if not id_:
            raise _NotRead
        known = self._who.get(id_)
        if known is None:
            if len(self._who) == PARTICIPANTS:
                raise _TooMuch
            known = (len(self._who), text or _clean(id_))
        self._who[id_] = (known[0], text or known[1])
        return known[0]
