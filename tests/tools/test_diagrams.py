from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.conftest import Call
from worker_core.tools.diagrams import _KINDS, DiagramTool, WrongDiagram, kind_of
from worker_core.tools.registry import SkillDefinition, offer

ALL = tuple(_KINDS)

GOOD = {
    "flowchart": [
        "flowchart TD\n  A[Start] --> B{OK?}\n  B -->|yes (really)| C((End))\n  B -- no --> D>flag]\n  subgraph one\n"
        '    E[/in/] --> F[["sub (x)"]]\n  end\n  G{{hex}} --> H[(db)]',
        "graph LR;\nA-->B;",
        "%%{init: {'theme': 'dark'}}%%\n%% a comment\nflowchart\nA-->B\nclick A \"https://example.org\"",
        "---\ntitle: With front matter\n---\nflowchart LR\n  a --> b",
    ],
    "sequence": [
        "sequenceDiagram\n  Alice->>Bob: Hello\n  loop every minute\n    Bob-->>Alice: Hi\n  end\n  alt a\n"
        "    A->>B: x\n  else b\n    A->>B: y\n  end",
    ],
    "class diagram": ["classDiagram\n  class Animal {\n    +int age\n    +run() void\n  }\n  Animal <|-- Duck"],
    "entity relationship": ["erDiagram\n  CUSTOMER ||--o{ ORDER : places\n  ORDER {\n    int id\n  }\n  A }o..o{ B: x"],
    "gantt": ["gantt\n  title A plan\n  dateFormat YYYY-MM-DD\n  section One\n  A task :a1, 2026-01-01, 30d"],
    "pie chart": ['pie title Pets\n  "Dogs" : 386\n  "Cats" : 85.5', 'pie showData\n"A": 1'],
    "state diagram": ["stateDiagram-v2\n  [*] --> Still\n  state Moving {\n    A --> B\n  }\n  Still --> Moving"],
    "git graph": ["gitGraph\n  commit\n  branch develop\n  checkout develop\n  commit id: \"x\"\n  merge main"],
    "user journey": ["journey\n  title My day\n  section Work\n    Make tea: 5: Me\n    Sit: 3: Me, Cat"],
    "quadrant chart": ["quadrantChart\n  title R\n  x-axis Low --> High\n  quadrant-1 X\n  A: [0.3, 0.6]\n  B: [1,0]"],
}  # fmt: skip

BAD = [
    ("", "is empty"),
    ("%% only a comment", "is empty"),
    ("flowchart TD", "nothing below"),
    ("flowchart TD\n" + "a>" * 50_000, "Break it up"),
    ("drawing\nA-->B", "begins no diagram"),
    ("flowchart TD\nA[Start --> B", "not closed"),
    ("flowchart TD\nA(Start] --> B", "has no partner"),
    ('flowchart TD\nA["Start] --> B', "quotation mark"),
    ("flowchart TD\nsubgraph x\nA-->B", "no `end`"),
    ("sequenceDiagram\nA->>B: x\nend", "nothing began"),
    ("sequenceDiagram\nloop x\nA->>B: x", "no `end`"),
    ("classDiagram\nclass A {\n+int x", "not closed"),
    ("erDiagram\nA ||--o{ B : x\n}", "nothing opened"),
    ("gantt\ntitle x", "no line such as"),
    ("gantt\nA task without a time", "not understood"),
    ('pie\n"Dogs" : many', "not understood"),
    ("gitGraph\nbranch x", "no line such as"),
    ("journey\nTea: 9: Me", "not understood"),
    ("quadrantChart\nA: [3, 4]", "not understood"),
    ("%%{init: {'securityLevel': 'loose'}}%%\nflowchart TD\nA-->B", "security level"),
    ('flowchart TD\nA-->B\nclick A "javascript:alert(1)"', "script"),
    ("flowchart TD\nA[<script>x</script>]-->B", "script"),
]


@pytest.mark.parametrize(("kind", "source"), [(kind, one) for kind, several in GOOD.items() for one in several])
def test_diagrams_that_are_right(kind: str, source: str) -> None:
    assert kind_of(source, allowed=ALL) == kind
    with pytest.raises(WrongDiagram, match=f"does not allow a {kind}"):
        kind_of(source, allowed=tuple(one for one in ALL if one != kind))


@pytest.mark.parametrize(("source", "said"), BAD)
def test_diagrams_that_cannot_be_right(source: str, said: str) -> None:
    with pytest.raises(WrongDiagram, match=said) as refused:
        kind_of(source, allowed=ALL)
    assert str(refused.value).endswith(".")


@given(st.sampled_from([one for several in GOOD.values() for one in several]), st.data())
def test_damaged_ones_are_judged_without_a_crash(source: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(min_value=0, max_value=len(source)))
    damaged = source[:at] + data.draw(st.text(max_size=5)) + source[at + data.draw(st.integers(0, 5)) :]
    with contextlib.suppress(WrongDiagram):
        assert kind_of(damaged, allowed=ALL) in ALL


async def test_it_is_written_and_given_back_as_a_block(call: Call, here: Path) -> None:
    source = GOOD["flowchart"][1]
    result = await call(DiagramTool(allowed=ALL), {"source": f"```mermaid\n{source}\n```\n"})
    assert result.succeeded
    assert result.saved_to == "diagrams/call-1.mmd"
    assert (here / "diagrams/call-1.mmd").read_text() == f"{source}\n"
    assert result.output.endswith(f"It is a flowchart.\n```mermaid\n{source}\n```")
    named = await call(DiagramTool(allowed=ALL), {"source": source, "path": "out/mine"})
    assert named.saved_to == "out/mine.mmd"
    outside = await call(DiagramTool(allowed=ALL), {"source": source, "path": "../mine"})
    assert "leads out" in (outside.error or "")


async def test_sizes(call: Call) -> None:
    long = "flowchart TD\n" + "A-->B\n" * 100
    refused = await call(DiagramTool(allowed=ALL, largest=50), {"source": long})
    assert "50 are allowed" in (refused.error or "")
    cut = await call(DiagramTool(allowed=ALL), {"source": long}, output_limit_bytes=100)
    assert cut.succeeded
    assert "```" not in cut.output


def test_settings() -> None:
    def tools(**configuration: object) -> dict[str, DiagramTool]:
        found = offer([SkillDefinition.from_wire({"type": "data_visualization", "configuration": configuration})])
        assert not found.unknown
        return dict(found.tools)  # type: ignore[arg-type]

    assert tools()["create_diagram"] == DiagramTool(allowed=ALL)
    assert tools(max_diagram_size=999_999)["create_diagram"].largest == 100_000
    switches = [kind.switch for kind in _KINDS.values()]
    assert len(set(switches)) == 10
    assert tools(**dict.fromkeys(switches, False)) == {}
    assert tools(**{**dict.fromkeys(switches, False), "enable_gantt": True})["create_diagram"].allowed == ("gantt",)
