"""Places things in layers, so that most connections lead down and few of them cross. No Qt.

The usual steps (Sugiyama, Tagawa, Toda 1981): what leads back is turned round, layers are given by the longest way,
each layer is ordered by where its neighbours are, and then moved towards them as far as the distances allow.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator, Sequence
from dataclasses import field
from itertools import pairwise
from typing import Final

from worker_core.basics.quick_dataclass import dataclass

WAYPOINTS: Final = 1_500
"""Of all connections together; what leads over so many layers that there would be more is a straight line."""

DOOR: Final = 12.0
"""Between a door and the layer next to it."""

ORDERINGS = 8
MOVES = 15

Point = tuple[float, float]
Size = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """From one place in the list of sizes to another; `label` is the size of what is said on it, if there is any."""

    source: int
    target: int
    label: Size | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupDoor:
    """What a thing is connected with is outside: below everything, or with `is_above` above it."""

    thing: int
    is_above: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Of a link: where it passes between the layers, and the middle of its label. With `is_turned` it leads up."""

    points: tuple[Point, ...] = ()
    label: Point | None = None
    is_turned: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Middles of all things, a way for each link, and how much room that takes; it begins at 0, 0."""

    middles: tuple[Point, ...]
    ways: tuple[Way, ...]
    size: Size
    doors: tuple[tuple[Point, ...], ...] = ()
    """For each, what one passes from its thing to it; the last is the door itself."""


@dataclass(slots=True)
class _Grid:
    """Things and waypoints: their sizes, layers and neighbours in the layers above and below."""

    sizes: list[Size]
    ranks: list[int]
    above: list[list[int]] = field(default_factory=list)
    below: list[list[int]] = field(default_factory=list)
    layers: list[list[int]] = field(default_factory=list)


def in_layers(
    sizes: Sequence[Size], links: Sequence[Link], *, across: float, along: float, doors: Sequence[GroupDoor] = ()
) -> Placed:
    """Place things of these sizes.

    Args:
        sizes: width and height of each.
        links: between two different things; a thing's link to itself is passed over.
        across: the distance between two things beside each other.
        along: the distance between two layers.
        doors: what leads out; they take a narrow layer below, or above.
    """
    if not sizes:
        return Placed(middles=(), ways=tuple(Way() for _ in links), size=(0.0, 0.0))
    real = [number for number, one in enumerate(links) if one.source != one.target]
    turned = leads_back(len(sizes), [links[number] for number in real])
    ends = [
        (one.target, one.source) if is_turned else (one.source, one.target)
        for one, is_turned in zip((links[number] for number in real), turned, strict=True)
    ]
    step = 2 if any(links[number].label is not None for number in real) else 1
    first = step if any(one.is_above for one in doors) else 0
    grid = _Grid(list(sizes), [first + step * rank for rank in _ranks(len(sizes), ends)])
    last = max(grid.ranks)
    for number, door in enumerate(doors, len(sizes)):
        grid.sizes.append((0.0, 0.0))
        grid.ranks.append(0 if door.is_above else last + step)
        ends.append((number, door.thing) if door.is_above else (door.thing, number))
    chains, marks = _chains(grid, [*(links[number].label for number in real), *(None for _ in doors)], ends)
    _neighbours(grid, chains)
    _order(grid)
    xs = _across(grid, across, things=len(sizes))
    gaps = [(along if first <= rank < last else DOOR) / step for rank in range(len(grid.layers))]
    ys = _along(grid, gaps)
    left = min(x - width / 2 for x, (width, _) in zip(xs, grid.sizes, strict=True))
    right = max(x + width / 2 for x, (width, _) in zip(xs, grid.sizes, strict=True))
    points = [(x - left, ys[rank]) for x, rank in zip(xs, grid.ranks, strict=True)]
    ways = [Way()] * len(links)
    for number, is_turned, chain, mark in zip(real, turned, chains, marks, strict=False):
        passed = [points[one] for one in chain[1:-1]]
        middle = points[mark] if mark is not None else None
        ways[number] = Way(points=tuple(reversed(passed) if is_turned else passed), label=middle, is_turned=is_turned)
    led = [
        tuple(points[one] for one in (reversed(chain[:-1]) if door.is_above else chain[1:]))
        for door, chain in zip(doors, chains[len(real) :], strict=True)
    ]
    height = ys[-1] + max((grid.sizes[one][1] for one in grid.layers[-1]), default=0.0) / 2
    return Placed(middles=tuple(points[: len(sizes)]), ways=tuple(ways), size=(right - left, height), doors=tuple(led))


def leads_back(count: int, links: Sequence[Link]) -> list[bool]:
    """For each link, whether it leads back to where one came from."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    for number, link in enumerate(links):
        leaving[link.source].append(number)
    turned, state = [False] * len(links), [0] * count
    for root in range(count):
        if state[root]:
            continue
        state[root] = 1
        stack: list[tuple[int, Iterator[int]]] = [(root, iter(leaving[root]))]
        while stack:
            at, rest = stack[-1]
            number = next(rest, -1)
            if number < 0:
                state[at] = 2
                stack.pop()
                continue
            target = links[number].target
            if state[target] == 1:
                turned[number] = True
            elif not state[target]:
                state[target] = 1
                stack.append((target, iter(leaving[target])))
    return turned


def _ranks(count: int, ends: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way to each; what nothing leads to stands right above what it leads to."""
    leaving: list[list[int]] = [[] for _ in range(count)]
    coming = [0] * count
    for source, target in ends:
        leaving[source].append(target)
        coming[target] += 1
    begins = [one for one in range(count) if not coming[one]]
    ranks, queue = [0] * count, list(begins)
    for at in queue:
        for target in leaving[at]:
            ranks[target] = max(ranks[target], ranks[at] + 1)
            coming[target] -= 1
            if not coming[target]:
                queue.append(target)
    for one in begins:
        if leaving[one]:
            ranks[one] = min(ranks[target] for target in leaving[one]) - 1
    return ranks


def _chains(
    grid: _Grid, labels: Sequence[Size | None], ends: Sequence[tuple[int, int]]
) -> tuple[list[list[int]], list[int | None]]:
    """What each link passes in the layers between its ends, and which of that is its label."""
    spans = [grid.ranks[target] - grid.ranks[source] - 1 for source, target in ends]
    room, allowed = WAYPOINTS, set[int]()
    for number in sorted(range(len(ends)), key=lambda one: spans[one]):
        if spans[number] > room:
            break
        room -= spans[number]
        allowed.add(number)
    chains: list[list[int]] = []
    marks: list[int | None] = []
    for number, (source, target) in enumerate(ends):
        chain, mark, label = [source], None, labels[number]
        between = range(grid.ranks[source] + 1, grid.ranks[target]) if number in allowed else range(0)
        for rank in between:
            chain.append(len(grid.sizes))
            is_mark = label is not None and mark is None and (rank - grid.ranks[source]) * 2 > len(between)
            if is_mark:
                mark = len(grid.sizes)
            grid.sizes.append(label if is_mark and label is not None else (0.0, 0.0))
            grid.ranks.append(rank)
        chains.append([*chain, target])
        marks.append(mark)
    return chains, marks


def _neighbours(grid: _Grid, chains: Sequence[Sequence[int]]) -> None:
    grid.above = [[] for _ in grid.sizes]
    grid.below = [[] for _ in grid.sizes]
    for chain in chains:
        for upper, lower in pairwise(chain):
            if grid.ranks[lower] - grid.ranks[upper] == 1:
                grid.below[upper].append(lower)
                grid.above[lower].append(upper)
    grid.layers = [[] for _ in range(max(grid.ranks) + 1)]
    for one, rank in enumerate(grid.ranks):
        grid.layers[rank].append(one)


def _order(grid: _Grid) -> None:
    """Each layer by the middle of its neighbours, down and up; the order with the fewest crossings is kept."""
    best, fewest = [list(layer) for layer in grid.layers], _crossings(grid)
    for turn in range(ORDERINGS):
        if not fewest:
            break
        down = turn % 2 == 0
        looked_at = grid.above if down else grid.below
        layers = grid.layers if down else grid.layers[::-1]
        place = {one: number for layer in grid.layers for number, one in enumerate(layer)}
        for layer in layers:
            wanted = {
                one: sum(place[other] for other in looked_at[one]) / len(looked_at[one])
                if looked_at[one]
                else float(place[one])
                for one in layer
            }
            layer.sort(key=lambda one: (wanted[one], place[one]))
            place.update({one: number for number, one in enumerate(layer)})
        if (crossings := _crossings(grid)) < fewest:
            best, fewest = [list(layer) for layer in grid.layers], crossings
    grid.layers = best


def _crossings(grid: _Grid) -> int:
    place = {one: number for layer in grid.layers for number, one in enumerate(layer)}
    count = 0
    for layer in grid.layers:
        seen: list[int] = []
        for one in layer:
            targets = sorted(place[other] for other in grid.below[one])
            count += sum(len(seen) - bisect_right(seen, target) for target in targets)
            for target in targets:
                insort(seen, target)
    return count


def _across(grid: _Grid, gap: float, *, things: int) -> list[float]:
    """Where each is from left to right."""
    xs = [0.0] * len(grid.sizes)
    for layer in grid.layers:
        at = 0.0
        for one in layer:
            xs[one] = at + grid.sizes[one][0] / 2
            at += grid.sizes[one][0] + gap
        for one in layer:
            xs[one] -= (at - gap) / 2
    for turn in range(MOVES):
        down = turn % 2 == 0
        for layer in grid.layers if down else grid.layers[::-1]:
            wanted, weights = [], []
            for one in layer:
                near = grid.above[one] if down else grid.below[one]
                wanted.append(sum(xs[other] for other in near) / len(near) if near else xs[one])
                weights.append((1.0 if near else 0.1) * (4.0 if one >= things else 1.0))
            least = [(grid.sizes[one][0] + grid.sizes[other][0]) / 2 + gap for one, other in pairwise(layer)]
            for one, x in zip(layer, _apart(wanted, weights, least), strict=True):
                xs[one] = x
    return xs


def _apart(wanted: Sequence[float], weights: Sequence[float], least: Sequence[float]) -> list[float]:
    """As near to what is wanted as the least distances allow, by squares (pool adjacent violators)."""
    offsets = [0.0]
    for distance in least:
        offsets.append(offsets[-1] + distance)
    pools: list[tuple[float, float, int]] = []
    for place, weight, offset in zip(wanted, weights, offsets, strict=False):
        total, heavy, count = (place - offset) * weight, weight, 1
        while pools and pools[-1][0] / pools[-1][1] > total / heavy:
            before = pools.pop()
            total, heavy, count = total + before[0], heavy + before[1], count + before[2]
        pools.append((total, heavy, count))
    found = [total / heavy for total, heavy, count in pools for _ in range(count)]
    return [place + offset for place, offset in zip(found, offsets, strict=False)]


def _along(grid: _Grid, gaps: Sequence[float]) -> list[float]:
    """The middle of each layer, from the top."""
    middles, at = [], 0.0
    for layer, gap in zip(grid.layers, gaps, strict=True):
        height = max((grid.sizes[one][1] for one in layer), default=0.0)
        middles.append(at + height / 2)
        at += height + gap
    return middles
