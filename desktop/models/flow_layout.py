"""Where the parts of a flowchart lie. A group is placed by itself and then is one thing among others: nothing that is
outside lies in it. No Qt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from desktop.models.diagrams import Flowchart, FlowEdge
from desktop.models.layers import GroupDoor, Link, Point, Size, in_layers, leads_back
from worker_core.basics.quick_dataclass import dataclass

ACROSS: Final = 28.0
ALONG: Final = 46.0
PADDING: Final = 16.0
"""Around what a group holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """In pixels; y leads down."""

    x: float
    y: float
    width: float
    height: float

    @property
    def middle(self) -> Point:
        return self.x + self.width / 2, self.y + self.height / 2

    def moved(self, by: Point) -> Area:
        return Area(x=self.x + by[0], y=self.y + by[1], width=self.width, height=self.height)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An edge: the points that it passes from its source to its target, and the middle of its label."""

    edge: FlowEdge
    points: tuple[Point, ...]
    label: Point | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowPlaces:
    areas: Mapping[str, Area]
    """Of nodes and groups, by their ids."""

    routes: tuple[Route, ...]
    size: Size
    is_sideways: bool
    """Edges leave and come at the sides, not above and below."""


def place_flowchart(
    chart: Flowchart, *, sizes: Mapping[str, Size], labels: Mapping[str, Size], titles: Mapping[str, Size]
) -> FlowPlaces:
    """Lay a flowchart out.

    Args:
        chart: what is drawn.
        sizes: of its nodes, by id.
        labels: of what stands on edges, by the text.
        titles: of its groups' titles, by id.
    """
    return _Placing(chart, sizes, labels, titles).place()


class _Placing:
    def __init__(
        self, chart: Flowchart, sizes: Mapping[str, Size], labels: Mapping[str, Size], titles: Mapping[str, Size]
    ) -> None:
        self._chart, self._sizes, self._labels, self._titles = chart, sizes, labels, titles
        self._sideways = chart.direction in {"left", "right"}
        self._parents = {one.id: one.group for one in chart.nodes} | {one.id: one.group for one in chart.groups}
        self._areas: dict[str, Area] = {}
        self._routes: dict[int, Route] = {}
        self._passed: dict[int, tuple[tuple[Point, ...], Point | None, bool, str]] = {}
        self._through: dict[tuple[int, bool], list[tuple[str, tuple[Point, ...]]]] = {}
        """Of an edge, at its source or else its target: what it passes in each group that it leaves or enters, from the
        innermost on."""

        self._back: dict[int, bool] = {}
        """Whether an edge leads back, for each that is drawn between two areas."""

        for group in ("", *titles):
            inside, numbers, links = self._links_in(group)
            self._back.update(zip(numbers, leads_back(len(inside), links), strict=True))

    def place(self) -> FlowPlaces:
        size = self._fill("")
        self._settle("", (0.0, 0.0))
        for number, edge in enumerate(self._chart.edges):
            self._lead(number, edge)
        areas, size = self._mirrored(size)
        return FlowPlaces(
            areas=areas,
            routes=tuple(self._routes[number] for number in sorted(self._routes)),
            size=size,
            is_sideways=self._sideways,
        )

    def _turn(self, pair: tuple[float, float]) -> tuple[float, float]:
        return (pair[1], pair[0]) if self._sideways else pair

    def _fill(self, group: str) -> Size:
        """Place what stands in a group; areas are told from the group's corner. How large it is."""
        inside, numbers, links = self._links_in(group)
        sizes = [self._fill(id_) if id_ in self._titles else self._sizes[id_] for id_ in inside]
        led, doors = self._doors_of(group, inside)
        placed = in_layers([self._turn(one) for one in sizes], links, across=ACROSS, along=ALONG, doors=doors)
        width, height = self._turn(placed.size)
        title = self._titles.get(group, (0.0, 0.0))
        margin = PADDING if group else 0.0
        above = margin + (title[1] + PADDING / 2 if title[1] else 0.0)
        whole = max(width, title[0]) + 2 * margin
        shift = ((whole - width) / 2, above)
        for id_, middle, size in zip(inside, placed.middles, sizes, strict=True):
            x, y = self._turn(middle)
            self._areas[id_] = Area(
                x=x - size[0] / 2 + shift[0], y=y - size[1] / 2 + shift[1], width=size[0], height=size[1]
            )
        for number, way in zip(numbers, placed.ways, strict=True):
            points = tuple(_plus(self._turn(one), shift) for one in way.points)
            said = _plus(self._turn(way.label), shift) if way.label is not None else None
            self._passed[number] = (points, said, way.is_turned, group)
        for end, points in zip(led, placed.doors, strict=True):
            self._through.setdefault(end, []).append((group, tuple(_plus(self._turn(one), shift) for one in points)))
        return whole, height + above + margin

    def _links_in(self, group: str) -> tuple[list[str], list[int], list[Link]]:
        """What stands in a group, and what connects that: the numbers of edges, and links between the places."""
        inside = [id_ for id_, parent in self._parents.items() if parent == group]
        place = {id_: number for number, id_ in enumerate(inside)}
        links, numbers = [], []
        for number, edge in enumerate(self._chart.edges):
            ends = self._ends_in(group, edge)
            if ends is not None:
                label = self._turn(self._labels[edge.text]) if edge.text else None
                links.append(Link(source=place[ends[0]], target=place[ends[1]], label=label))
                numbers.append(number)
        return inside, numbers, links

    def _doors_of(self, group: str, inside: list[str]) -> tuple[list[tuple[int, bool]], list[GroupDoor]]:
        """For edges from what is in a group to what is outside, and back: which end that is, and the door."""
        led, doors = [], []
        for number, back in self._back.items():
            edge = self._chart.edges[number]
            ways = self._way_up(edge.source), self._way_up(edge.target)
            for way, other, is_source in ((ways[0], ways[1], True), (ways[1], ways[0], False)):
                if group in way[1:] and group not in other:
                    thing = inside.index(way[way.index(group) - 1])
                    led.append((number, is_source))
                    doors.append(GroupDoor(thing=thing, is_above=back is is_source))
        return led, doors

    def _ends_in(self, group: str, edge: FlowEdge) -> tuple[str, str] | None:
        """What of a group's own an edge connects, where it is this group's matter."""
        ways = [self._way_up(edge.source), self._way_up(edge.target)]
        if edge.source == edge.target or any(group not in way for way in ways):
            return None
        first, second = (way[way.index(group) - 1] if way.index(group) else "" for way in ways)
        return (first, second) if first and second and first != second else None

    def _way_up(self, id_: str) -> list[str]:
        way = [id_]
        while way[-1]:
            way.append(self._parents[way[-1]])
        return way

    def _settle(self, group: str, corner: Point) -> None:
        """From the group's corner to the whole's."""
        for id_, parent in self._parents.items():
            if parent == group:
                area = self._areas[id_] = self._areas[id_].moved(corner)
                if id_ in self._titles:
                    self._settle(id_, (area.x, area.y))
        for number, (points, middle, turned, of) in self._passed.items():
            if of == group:
                moved = tuple(_plus(one, corner) for one in points)
                self._passed[number] = (moved, _plus(middle, corner) if middle else None, turned, of)
        for end, parts in self._through.items():
            self._through[end] = [
                (of, tuple(_plus(one, corner) for one in points) if of == group else points) for of, points in parts
            ]

    def _lead(self, number: int, edge: FlowEdge) -> None:
        """From an area's edge to another's; an edge between a group and what is in it is not drawn."""
        source, target = self._areas[edge.source], self._areas[edge.target]
        if edge.source == edge.target:
            x, y = source.x + source.width, source.middle[1]
            points: tuple[Point, ...] = ((x, y - 8), (x + 26, y - 8), (x + 26, y + 8), (x, y + 8))
            self._routes[number] = Route(edge=edge, points=points, label=None)
            return
        if number not in self._passed:
            return
        passed, middle, turned, _ = self._passed[number]
        begins, ends = _leaving(source, self._sideways, back=turned), _leaving(target, self._sideways, back=not turned)
        if middle is None and edge.text:
            middle = ((begins[0] + ends[0]) / 2, (begins[1] + ends[1]) / 2)
        out = [point for _, points in self._through.get((number, True), ()) for point in points]
        into = [point for _, points in self._through.get((number, False), ()) for point in points][::-1]
        self._routes[number] = Route(edge=edge, points=(begins, *out, *passed, *into, ends), label=middle)

    def _mirrored(self, size: Size) -> tuple[dict[str, Area], Size]:
        """With room for what loops stand out; upwards and leftwards it is the picture in a mirror."""
        right = max((x for one in self._routes.values() for x, _ in one.points), default=0.0) + 1
        size = (max(size[0], right), size[1])
        if self._chart.direction not in {"up", "left"}:
            return self._areas, size
        up = self._chart.direction == "up"

        def flip(point: Point) -> Point:
            return (point[0], size[1] - point[1]) if up else (size[0] - point[0], point[1])

        for number, one in self._routes.items():
            self._routes[number] = Route(
                edge=one.edge,
                points=tuple(flip(point) for point in one.points),
                label=flip(one.label) if one.label is not None else None,
            )
        areas = {}
        for id_, area in self._areas.items():
            x, y = flip((area.x, area.y))
            areas[id_] = Area(
                x=x if up else x - area.width, y=y - area.height if up else y, width=area.width, height=area.height
            )
        return areas, size


def _plus(one: Point, other: Point) -> Point:
    return one[0] + other[0], one[1] + other[1]


def _leaving(area: Area, sideways: bool, *, back: bool) -> Point:
    """The middle of the side at which an edge leaves an area, or with `back` that at which it comes."""
    x, y = area.middle
    if sideways:
        return (area.x if back else area.x + area.width), y
    return x, (area.y if back else area.y + area.height)
