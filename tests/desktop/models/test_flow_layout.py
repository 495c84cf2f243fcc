"""A flowchart's parts lie apart, in their groups, and its edges lead from one to the other."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desktop.models import layers
from desktop.models.diagrams import EDGES, NODES, Direction, Flowchart, FlowEdge, FlowGroup, Node
from desktop.models.flow_layout import Area, FlowPlaces, place_flowchart
from desktop.models.layers import Link, in_layers

SIZE = (60.0, 30.0)


def placed(chart: Flowchart) -> FlowPlaces:
    return place_flowchart(
        chart,
        sizes={one.id: (SIZE[0] + 7 * number % 40, SIZE[1]) for number, one in enumerate(chart.nodes)},
        labels={one.text: (40.0, 16.0) for one in chart.edges if one.text},
        titles={one.id: (70.0, 14.0) for one in chart.groups},
    )


@st.composite
def charts(draw: st.DrawFn) -> Flowchart:
    groups = draw(st.integers(0, 4))
    inside = [draw(st.sampled_from(["", *(f"g{one}" for one in range(number))])) for number in range(groups)]
    count = draw(st.integers(max(1, groups), 14))
    nodes = [
        Node(id=f"n{one}", text="x", group=f"g{one}" if one < groups else draw(st.sampled_from(["", *inside])))
        for one in range(count)
    ]
    ends = [one.id for one in nodes] + [f"g{one}" for one in range(groups)]
    edges = draw(
        st.lists(
            st.builds(
                FlowEdge,
                source=st.sampled_from(ends),
                target=st.sampled_from(ends),
                text=st.sampled_from(["", "", "yes"]),
            ),
            max_size=20,
        )
    )
    return Flowchart(
        direction=draw(st.sampled_from(["down", "up", "right", "left"])),
        nodes=tuple(nodes),
        edges=tuple(edges),
        groups=tuple(FlowGroup(id=f"g{number}", text="a", group=parent) for number, parent in enumerate(inside)),
    )


def apart(one: Area, other: Area) -> bool:
    return (
        one.x + one.width <= other.x + 0.01
        or other.x + other.width <= one.x + 0.01
        or one.y + one.height <= other.y + 0.01
        or other.y + other.height <= one.y + 0.01
    )


def holds(one: Area, other: Area) -> bool:
    return (
        one.x <= other.x + 0.01
        and one.y <= other.y + 0.01
        and one.x + one.width >= other.x + other.width - 0.01
        and one.y + one.height >= other.y + other.height - 0.01
    )


def on_the_edge(point: tuple[float, float], area: Area) -> bool:
    x, y = point
    inside = area.x - 0.1 <= x <= area.x + area.width + 0.1 and area.y - 0.1 <= y <= area.y + area.height + 0.1
    at_a_side = min(abs(x - area.x), abs(x - area.x - area.width), abs(y - area.y), abs(y - area.y - area.height))
    return inside and at_a_side < 0.1


def strictly_in(point: tuple[float, float], area: Area) -> bool:
    x, y = point
    return area.x < x - 0.1 and x + 0.1 < area.x + area.width and area.y < y - 0.1 and y + 0.1 < area.y + area.height


@given(charts())
@settings(max_examples=150, deadline=None)
def test_nothing_lies_over_anything_else(chart: Flowchart) -> None:
    found = placed(chart)
    parents = {one.id: one.group for one in chart.nodes} | {one.id: one.group for one in chart.groups}
    whole = Area(x=0, y=0, width=found.size[0], height=found.size[1])
    for one, parent in parents.items():
        assert holds(found.areas[parent] if parent else whole, found.areas[one])
    for one, other in combinations(parents, 2):
        if parents[one] == parents[other]:
            assert apart(found.areas[one], found.areas[other])
    for route in found.routes:
        assert on_the_edge(route.points[0], found.areas[route.edge.source])
        assert on_the_edge(route.points[-1], found.areas[route.edge.target])
        for x, y in route.points[1:-1]:
            covered = [one.id for one in chart.nodes if strictly_in((x, y), found.areas[one.id])]
            assert covered == [], "it passes between the others"
        assert all(-0.1 <= x <= found.size[0] + 0.1 and -0.1 <= y <= found.size[1] + 0.1 for x, y in route.points)
        assert (route.label is not None) == bool(route.edge.text and route.edge.source != route.edge.target)


def a_chain(direction: Direction) -> FlowPlaces:
    nodes = tuple(Node(id=one, text=one) for one in "abc")
    edges = (FlowEdge(source="a", target="b"), FlowEdge(source="b", target="c"), FlowEdge(source="c", target="a"))
    return placed(Flowchart(direction=direction, nodes=nodes, edges=edges, groups=()))


@pytest.mark.parametrize(
    ("direction", "along", "forth"), [("down", 1, 1), ("up", 1, -1), ("right", 0, 1), ("left", 0, -1)]
)
def test_it_leads_where_it_is_to_lead_though_something_leads_back(direction: Direction, along: int, forth: int) -> None:
    places = [a_chain(direction).areas[one].middle[along] * forth for one in "abc"]
    assert places == sorted(places)
    assert len(set(places)) == 3


def test_a_chain_is_straight() -> None:
    nodes = tuple(Node(id=one, text=one) for one in "abcd")
    edges = tuple(FlowEdge(source=one, target=other, text="so") for one, other in zip("abc", "bcd", strict=True))
    found = placed(Flowchart(direction="down", nodes=nodes, edges=edges, groups=()))
    assert {round(found.areas[one].middle[0], 3) for one in "abcd"} == {round(found.areas["a"].middle[0], 3)}
    for route in found.routes:
        assert route.label is not None
        assert found.areas[route.edge.source].middle[1] < route.label[1] < found.areas[route.edge.target].middle[1]


def test_what_crosses_less_is_taken() -> None:
    """Written so that all edges cross."""
    links = [Link(source=one, target=5 - one + 3) for one in range(3)]
    found = in_layers([SIZE] * 9, links, across=10, along=10)
    above = [found.middles[one][0] for one in range(3)]
    below = [found.middles[5 - one + 3][0] for one in range(3)]
    assert (above == sorted(above)) == (below == sorted(below))


def test_all_that_may_be_is_placed_and_waypoints_are_bounded() -> None:
    """A chain of all nodes, and as many edges as there may be from its begin to its end."""
    chain = [Link(source=one, target=one + 1, label=(9, 9)) for one in range(NODES - 1)]
    long = [Link(source=0, target=NODES - 1, label=(9, 9))] * (EDGES - len(chain))
    assert len(long) * 2 * NODES > 2 * layers.WAYPOINTS
    found = in_layers([SIZE] * NODES, [*chain, *long], across=10, along=10)
    passed = [len(one.points) for one in found.ways]
    assert sum(passed) <= layers.WAYPOINTS
    assert passed[: len(chain)] == [1] * len(chain), "what is short keeps its way"
    assert 0 in passed[len(chain) :], "what is too much is straight"
