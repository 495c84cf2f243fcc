"""Mermaid is read as its syntax is documented, within bounds, and whatever stands there."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from desktop.models import diagrams, mermaid
from desktop.models.diagrams import Flowchart, FlowEdge, SequenceDiagram, in_words
from desktop.models.mermaid import read


def chart(*lines: str, header: str = "flowchart TD") -> Flowchart:
    found = read("\n".join((header, *lines)))
    assert isinstance(found, Flowchart)
    return found


def talk(*lines: str) -> SequenceDiagram:
    found = read("\n".join(("sequenceDiagram", *lines)))
    assert isinstance(found, SequenceDiagram)
    return found


# -- flowcharts ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("header", "direction"),
    [("graph TD", "down"), ("flowchart LR", "right"), ("graph BT;", "up"), ("flowchart RL", "left"), ("graph", "down")],
)
def test_the_header_says_where_it_leads(header: str, direction: str) -> None:
    assert chart("a --> b", header=header).direction == direction
    found = read(f"{header if header.endswith(';') else header + ';'} a --> b")
    assert isinstance(found, Flowchart)
    assert len(found.edges) == 1


@pytest.mark.parametrize(
    ("written", "shape"),
    [
        ("a[A word]", "box"), ("a(A word)", "round"), ("a([A word])", "stadium"), ("a[[A word]]", "subroutine"),
        ("a[(A word)]", "cylinder"), ("a((A word))", "circle"), ("a(((A word)))", "double"), ("a>A word]", "flag"),
        ("a{A word}", "diamond"), ("a{{A word}}", "hexagon"), ("a[/A word/]", "leaning"), ("a[\\A word\\]", "leaning"),
        ("a[/A word\\]", "trapezoid"), ('a["A word"]', "box"), ('a{" A word "}:::hot', "diamond"),
        ('a@{ shape: rect, label: "A word" }', "box"),
    ],
)  # fmt: skip
def test_a_node_has_a_shape_and_words(written: str, shape: str) -> None:
    [node] = chart(written).nodes
    assert (node.id, node.text, node.shape) == ("a", "A word", shape)


@pytest.mark.parametrize(
    ("written", "edge"),
    [
        ("a --> b", FlowEdge(source="a", target="b")),
        ("a-->b", FlowEdge(source="a", target="b")),
        ("a --- b", FlowEdge(source="a", target="b", ends="")),
        ("a ----> b", FlowEdge(source="a", target="b")),
        ("a -->|yes| b", FlowEdge(source="a", target="b", text="yes")),
        ("a -- yes --> b", FlowEdge(source="a", target="b", text="yes")),
        ("a --yes--- b", FlowEdge(source="a", target="b", text="yes", ends="")),
        ("a -.-> b", FlowEdge(source="a", target="b", line="dotted")),
        ("a -. may .-> b", FlowEdge(source="a", target="b", line="dotted", text="may")),
        ("a ==> b", FlowEdge(source="a", target="b", line="thick")),
        ("a == must ==> b", FlowEdge(source="a", target="b", line="thick", text="must")),
        ("a <--> b", FlowEdge(source="a", target="b", begins="arrow")),
        ("a --x b", FlowEdge(source="a", target="b", ends="cross")),
        ("a o--o b", FlowEdge(source="a", target="b", begins="circle", ends="circle")),
        ("a ~~~ b", FlowEdge(source="a", target="b", line="hidden", ends="")),
    ],
)
def test_an_edge_is_read(written: str, edge: FlowEdge) -> None:
    assert chart(written).edges == (edge,)


def test_chains_and_several_at_once() -> None:
    edges = chart("a & b --> c --> d; d --> a").edges
    assert [(one.source, one.target) for one in edges] == [("a", "c"), ("b", "c"), ("c", "d"), ("d", "a")]


def test_ids_with_dashes_and_dots() -> None:
    assert [one.id for one in chart("my-node.1-->other_node").nodes] == ["my-node.1", "other_node"]


def test_groups_hold_what_is_first_named_in_them() -> None:
    found = chart("a --> b", "subgraph one [The first]", "b --> c", "subgraph two", "d", "end", "end", "one --> e")
    assert [(one.id, one.text, one.group) for one in found.groups] == [("one", "The first", ""), ("two", "two", "one")]
    assert {one.id: one.group for one in found.nodes} == {"a": "", "b": "one", "c": "one", "d": "two", "e": ""}
    assert found.edges[-1] == FlowEdge(source="one", target="e")


def test_what_only_dresses_it_is_passed_over() -> None:
    dressed = chart(
        "%% a comment", "a[Start] --> b", "style a fill:#f9f", "classDef hot fill:red", "class a hot",
        'click a "https://example.com"', "linkStyle 0 stroke:red", "direction LR",
    )  # fmt: skip
    assert dressed == chart("a[Start] --> b")
    assert read("---\ntitle: A title\n---\n%%{init: {'theme': 'dark'}}%%\nflowchart TD\na[Start] --> b") == dressed


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ('a["one<br/>two"]', "one\ntwo"),
        ('a["<b>bold</b> #quot;x#quot; #35;1"]', 'bold "x" #1'),
        ("a[fa:fa-car Car]", "Car"),
        ('a["`marked`"]', "marked"),
        ("a[a \x00\x1b b]", "a b"),
    ],
)
def test_words_lose_their_markup(written: str, text: str) -> None:
    [node] = chart(written).nodes
    assert node.text == text


# -- sequence diagrams --------------------------------------------------------------------------------------------


def test_who_says_what_to_whom() -> None:
    found = talk(
        "autonumber", "participant A as Alice", "actor B", "A->>+B: Hello", "B-->>-A: Hi", "A-xC: lost", "C--)A: later",
        "A->A: think", "A<<->>B: both",
    )  # fmt: skip
    assert [one.text for one in found.participants] == ["Alice", "B", "C"]
    assert [
        (one.source, one.target, one.text, one.line, one.begins, one.ends)
        for one in found.steps
        if isinstance(one, diagrams.Message)
    ] == [
        (0, 1, "Hello", "solid", "", "arrow"),
        (1, 0, "Hi", "dotted", "", "arrow"),
        (0, 2, "lost", "solid", "", "cross"),
        (2, 0, "later", "dotted", "", "open"),
        (0, 0, "think", "solid", "", ""),
        (0, 1, "both", "solid", "arrow", "arrow"),
    ]


def test_frames_and_remarks() -> None:
    found = talk(
        "alt it is", "A->>B: yes", "else it is not", "Note over A,B: nothing", "end", "rect rgb(0, 0, 0)",
        "Note left of A: dark", "end", "loop",
    )  # fmt: skip
    kinds = [type(one).__name__ for one in found.steps]
    assert kinds == ["FrameBegin", "Message", "FrameNext", "Remark", "FrameEnd", "Remark", "FrameBegin", "FrameEnd"]
    assert in_words(found) == ["alt: it is", "A → B: yes", "it is not", "nothing", "dark", "loop: "]


# -- what is none -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        "", "pie title Pets", "gantt", "classDiagram\nA <|-- B", "flowchart TD", "sequenceDiagram", "words", "---\n---",
        "flowchart TD\na --> --> b\nc", "flowchart TD\n[no id]\na", "flowchart TD\nend\na",
        "sequenceDiagram\n->>:\nA->>B",
    ],
)  # fmt: skip
def test_what_is_not_understood_is_no_diagram(source: str) -> None:
    assert read(source) is None


def test_while_it_grows_its_last_line_may_be_half() -> None:
    whole = "flowchart TD\n  a[Start] --> b{Which?}\n  b -->|yes| c[(Store)]\n"
    for length in range(len("flowchart TD\n  a"), len(whole)):
        assert isinstance(read(whole[:length]), Flowchart), whole[:length]


# -- bounds -------------------------------------------------------------------------------------------------------

BOUNDS = {
    "nodes": (diagrams.NODES, lambda n: "flowchart TD\n" + "\n".join(f"n{one}" for one in range(n))),
    "edges": (diagrams.EDGES, lambda n: "flowchart TD\n" + "\n".join(["a --> b"] * n)),
    "edges at once": (diagrams.EDGES, lambda n: "flowchart TD\n" + "\n".join(["a & b --> c & d"] * (n // 4))),
    "groups": (
        diagrams.GROUPS,
        lambda n: "flowchart TD\n" + "\n".join(f"subgraph g{one}\nn{one}\nend" for one in range(n)),
    ),
    "groups in each other": (
        diagrams.DEPTH,
        lambda n: "flowchart TD\n" + "\n".join(f"subgraph g{one}" for one in range(n)) + "\na" + "\nend" * n + "\nb",
    ),
    "participants": (
        diagrams.PARTICIPANTS,
        lambda n: "sequenceDiagram\n" + "\n".join(f"participant p{one}" for one in range(n)),
    ),
    "steps": (diagrams.STEPS, lambda n: "sequenceDiagram\n" + "\n".join(["A->>B: x"] * n)),
    "frames in each other": (
        diagrams.DEPTH,
        lambda n: "sequenceDiagram\nA->>B: x\n" + "loop x\n" * n + "A->>B: x\n" + "end\n" * n + "A->>B: x",
    ),
    "characters": (mermaid.TEXT, lambda n: "flowchart TD\na\n".ljust(n)),
    "characters of a line": (mermaid.LINE, lambda n: "flowchart TD\n" + "a[" + "x" * (n - 3) + "]" + "\nb"),
}


@pytest.mark.parametrize("what", BOUNDS)
def test_what_is_more_than_is_drawn_is_no_diagram(what: str) -> None:
    most, made = BOUNDS[what]
    assert read(made(most)) is not None
    assert read(made(2 * most)) is None


def test_long_words_end_in_an_ellipsis() -> None:
    [node] = chart(f"a[{'x' * 2 * diagrams.LABEL}]").nodes
    assert (len(node.text), node.text[-1]) == (diagrams.LABEL, "…")


WORDS = [
    "a", "b", "-->", "---", "-.->", "==>", "--", "|x|", "&", ";", "[x]", "((x))", "{", "}", "[", "]", '"', "subgraph",
    "end", "\n", " ", "%%", ":::c", "A->>B: x", "->>", "Note over", "A,B:", "alt", "else", "loop", "participant",
    "as", "@{", "~~~", "<", "#35;", "\u202e", "\x00", "é", "漢",
]  # fmt: skip


@given(
    st.sampled_from(["flowchart TD\n", "graph LR;", "sequenceDiagram\n", ""]),
    st.one_of(st.text(max_size=300), st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join)),
)
@example("flowchart TD\n", "a@{")
@example("sequenceDiagram\n", "end")
def test_it_never_raises(header: str, text: str) -> None:
    found = read(header + text)
    if found is not None:
        assert all("\x00" not in line for line in in_words(found))


@pytest.mark.parametrize("header", ["flowchart TD", "sequenceDiagram"])
@pytest.mark.parametrize("piece", ["-", "=", "[", "<", " ", "-.", "A--", "a&", "A-- x", "(((", 'A["', ":x>", "a:", "|"])
def test_what_no_pattern_should_go_over_again_and_again_is_read_once(header: str, piece: str) -> None:
    """It would run for minutes, where one of them took a run of signs in more than one way."""
    line = (piece * mermaid.LINE)[: mermaid.LINE]
    source = "\n".join([header, *[line] * (mermaid.TEXT // mermaid.LINE - 1)])
    assert len(source) <= mermaid.TEXT
    assert read(source) is None or piece in {"a&", "a:", "-."}
