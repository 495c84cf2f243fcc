"""`data_visualization`: Mermaid diagrams, looked over, written as a file and given back as a block of Markdown."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import msgspec

from worker_core.basics.quick_dataclass import dataclass
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.tools import arguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.report import write_and_report
from worker_core.workspaces.workspace import safe_name

DEFAULT_SIZE = 50_000
LARGEST_SIZE = 100_000
"""Characters (protocol, section 9.4)."""

LONGEST_LINE = 2_000
FOLDER = "diagrams"


class DiagramArguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    source: Annotated[str, msgspec.Meta(description="The whole diagram in Mermaid, without a fence.", min_length=1)]
    path: Annotated[
        str, msgspec.Meta(description="Where to write it in the workspace; a name in diagrams/ by default.")
    ] = ""


class WrongDiagram(Exception):
    """The sentence says what is wrong and in which line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    number: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    switch: str
    begins: re.Pattern[str]
    check: Callable[[list[_Line]], None]


def _blocks(*openers: str) -> Callable[[list[_Line]], None]:
    """Every block that one of the words opens has its `end`."""
    opens = re.compile(rf"({'|'.join(openers)})\b")

    def check(lines: list[_Line]) -> None:
        waiting: list[_Line] = []
        for line in lines:
            if opens.match(line.text):
                waiting.append(line)
            elif re.fullmatch(r"end;?", line.text):
                if not waiting:
                    raise WrongDiagram(f"Line {line.number} ends a block that nothing began.")
                waiting.pop()
        if waiting:
            raise WrongDiagram(f"The block that line {waiting[-1].number} begins has no `end`.")

    return check


def _braces(lines: list[_Line]) -> None:
    depth: list[_Line] = []
    for line in lines:
        bare = re.sub(r'"[^"]*"|[|}o]{1,2}(--|\.\.)[|{o]{1,2}', "", line.text)  # not the feet of ER relationships
        for character in bare:
            if character == "{":
                depth.append(line)
            elif character == "}":
                if not depth:
                    raise WrongDiagram(f"Line {line.number} closes a brace that nothing opened.")
                depth.pop()
    if depth:
        raise WrongDiagram(f"The brace that line {depth[-1].number} opens is not closed.")


_PAIRS = {"]": "[", ")": "(", "}": "{"}


def _flowchart(lines: list[_Line]) -> None:
    for line in lines:
        if line.text.startswith(("click ", "style ", "classDef ", "linkStyle ", "class ")):
            continue
        bare = re.sub(r'"[^"]*"|\|[^|]*\|', "", line.text)
        if bare.count('"'):
            raise WrongDiagram(f"A quotation mark in line {line.number} has no partner.")
        bare = re.sub(r"(\w)>([^\[\]>]*+)\]", r"\1[\2]", bare)  # the flag shape, A>text]
        waiting: list[str] = []
        for character in bare:
            if character in "[({":
                waiting.append(character)
            elif character in "])}" and (not waiting or waiting.pop() != _PAIRS[character]):
                raise WrongDiagram(
                    f"The bracket {character} in line {line.number} has no partner. Put quotation marks around labels "
                    "with brackets in them."
                )
        if waiting:
            raise WrongDiagram(f"The bracket {waiting[-1]} in line {line.number} is not closed.")
    _blocks("subgraph")(lines)


def _each(pattern: str, hint: str, *, free: str) -> Callable[[list[_Line]], None]:
    """Every line fits, or begins with a word that is `free`; one at least fits."""
    fits, other = re.compile(pattern), re.compile(free)

    def check(lines: list[_Line]) -> None:
        found = False
        for line in lines:
            if fits.match(line.text):
                found = True
            elif not other.match(line.text):
                raise WrongDiagram(f"Line {line.number} is not understood; it should look like {hint}.")
        if not found:
            raise WrongDiagram(f"The diagram has no line such as {hint}.")

    return check


_KINDS: Mapping[str, _Kind] = {
    "flowchart": _Kind(
        switch="enable_flowchart",
        begins=re.compile(r"(graph|flowchart|flowchart-elk)(\s+(TB|TD|BT|RL|LR))?\s*;?$"),
        check=_flowchart,
    ),
    "sequence": _Kind(
        switch="enable_sequence",
        begins=re.compile(r"sequenceDiagram$"),
        check=_blocks("loop", "alt", "opt", "par", "critical", "break", "rect", "box"),
    ),
    "class diagram": _Kind(switch="enable_class_diagram", begins=re.compile(r"classDiagram(-v2)?$"), check=_braces),
    "entity relationship": _Kind(switch="enable_er_diagram", begins=re.compile(r"erDiagram$"), check=_braces),
    "gantt": _Kind(
        switch="enable_gantt",
        begins=re.compile(r"gantt$"),
        check=_each(
            r"[^:]+:\s*\S",
            "`A task :a1, 2026-01-01, 5d`",
            free=r"(title|section|dateFormat|axisFormat|tickInterval|excludes|includes|todayMarker|weekday|weekend"
            r"|inclusiveEndDates|displayMode|click|accTitle|accDescr)\b",
        ),
    ),
    "pie chart": _Kind(
        switch="enable_pie_chart",
        begins=re.compile(r"pie(\s+showData)?(\s+title\b.*)?$"),
        check=_each(r'"[^"]+"\s*:\s*\d+(\.\d+)?\s*$', '`"Label" : 42`', free=r"(title|showData|accTitle|accDescr)\b"),
    ),
    "state diagram": _Kind(switch="enable_state_diagram", begins=re.compile(r"stateDiagram(-v2)?$"), check=_braces),
    "git graph": _Kind(
        switch="enable_git_graph",
        begins=re.compile(r"gitGraph(\s+(LR|TB|BT))?\s*:?$"),
        check=_each(r"commit\b", "`commit`", free=r"(branch|checkout|switch|merge|cherry-pick|accTitle|accDescr)\b"),
    ),
    "user journey": _Kind(
        switch="enable_user_journey",
        begins=re.compile(r"journey$"),
        check=_each(r"[^:]+:\s*[0-5]\s*(:.*)?$", "`Make tea: 5: Me`", free=r"(title|section|accTitle|accDescr)\b"),
    ),
    "quadrant chart": _Kind(
        switch="enable_quadrant_chart",
        begins=re.compile(r"quadrantChart$"),
        check=_each(
            r"[^\[\]]+:\s*\[\s*(0(\.\d+)?|1(\.0+)?)\s*,\s*(0(\.\d+)?|1(\.0+)?)\s*\]",
            "`Point: [0.3, 0.6]`",
            free=r"(title|x-axis|y-axis|quadrant-[1-4]|classDef|accTitle|accDescr)\b",
        ),
    ),
}


def kind_of(source: str, *, allowed: Iterable[str]) -> str:
    """Which diagram it is, when it looks right. This is no parser: what a renderer refuses beyond it, it refuses.

    Raises:
        WrongDiagram: it is none that is allowed, or it cannot be right.
    """
    lines = _lines(source)
    if not lines:
        raise WrongDiagram("The diagram is empty.")
    first, rest = lines[0], lines[1:]
    for name, kind in _KINDS.items():
        if not kind.begins.match(first.text):
            continue
        if name not in allowed:
            raise WrongDiagram(f"The skill's configuration does not allow a {name}; it allows: {', '.join(allowed)}.")
        if not rest:
            raise WrongDiagram("The diagram has a first line and nothing below it.")
        kind.check(rest)
        return name
    raise WrongDiagram(
        f"Line {first.number} ({first.text[:60]!r}) begins no diagram that is known here; it allows: "
        f"{', '.join(allowed)}."
    )


def _lines(source: str) -> list[_Line]:
    """What says something: no comments, directives, or front matter."""
    raw = source.replace("\r\n", "\n").split("\n")
    start = 0
    if raw[0].strip() == "---" and "---" in [line.strip() for line in raw[1:]]:
        start = 2 + [line.strip() for line in raw[1:]].index("---")
    lines = []
    in_directive = False
    for number, line in enumerate(raw[start:], start + 1):
        bare = line.strip()
        if in_directive or bare.startswith("%%{"):
            in_directive = "}%%" not in bare
            if re.search(r"securityLevel", bare):
                raise WrongDiagram(f"Line {number} changes the renderer's security level; leave that out.")
            continue
        if re.search(r"javascript:|<script\b", bare, re.IGNORECASE):
            raise WrongDiagram(f"Line {number} holds a script; diagrams are drawn without them.")
        if len(bare) > LONGEST_LINE:
            raise WrongDiagram(f"Line {number} has {len(bare)} characters; {LONGEST_LINE} are the limit. Break it up.")
        if bare and not bare.startswith("%%"):
            lines.append(_Line(number=number, text=bare))
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class DiagramTool:
    """Writes one diagram. `allowed` names kinds of diagram."""

    allowed: tuple[str, ...]
    largest: int = DEFAULT_SIZE

    @property
    def spec(self) -> ToolSpec:
        return ToolSpec(
            name="create_diagram",
            description=(
                f"Check a Mermaid diagram and write it as an .mmd file; you get it back as a block that you can show "
                f"the user. Kinds: {', '.join(self.allowed)}. It may have {self.largest} characters."
            ),
            parameters=arguments.schema(DiagramArguments),
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        asked = arguments.read(DiagramArguments, arguments_)
        yield from reader.path(asked.path)
        yield from reader.sent({"source": asked.source})

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        try:
            asked = arguments.read(DiagramArguments, arguments_)
            if len(asked.source) > self.largest:
                raise WrongDiagram(f"The diagram has {len(asked.source)} characters; {self.largest} are allowed.")
            source = _unfenced(asked.source)
            kind = await asyncio.to_thread(kind_of, source, allowed=self.allowed)
        except (arguments.WrongArguments, WrongDiagram) as error:
            return arguments.failed(str(error))
        path = asked.path or f"{FOLDER}/{safe_name(context.call_id)}"
        if not path.endswith((".mmd", ".mermaid")):
            path += ".mmd"
        block = f"\n```mermaid\n{source}\n```"
        if len(block.encode()) > context.output_limit_bytes:
            block = ""
        return await write_and_report(path, f"{source}\n".encode(), context, said=f" It is a {kind}.{block}")


def _unfenced(source: str) -> str:
    """Models put a fence around it all the same."""
    found = re.fullmatch(r"\s*```(?:mermaid)?[ \t]*\n(.*?)\n?```\s*", source, re.DOTALL)
    return (found[1] if found else source).replace("\r\n", "\n").strip("\n")


def make(configuration: Configuration) -> dict[str, Tool]:
    allowed = tuple(name for name, kind in _KINDS.items() if configuration.switch(kind.switch, default=True))
    if not allowed:
        return {}
    largest = configuration.count("max_diagram_size", default=DEFAULT_SIZE, most=LARGEST_SIZE)
    return {"create_diagram": DiagramTool(allowed=allowed, largest=largest)}
