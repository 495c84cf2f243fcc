"""The curves of how the worker grows, and their drawings."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import growth
from bench.curves import HEIGHT, WIDTH, Curve, Line, drawn

SVG = "{http://www.w3.org/2000/svg}"


def curve(*lines: Line, name: str = "a") -> Curve:
    return Curve(name=name, title="A < B & C", across="x", up="y", lines=lines, bound="Nothing.")


def circles(text: str) -> list[tuple[float, float]]:
    found = ElementTree.fromstring(text).iter(f"{SVG}circle")
    return [(float(one.attrib["cx"]), float(one.attrib["cy"])) for one in found]


def test_points_stand_where_they_belong() -> None:
    places = circles(drawn(curve(Line(name="l", points=((1, 0), (10, 50), (100, 100))))))
    assert [x for x, _ in places] == pytest.approx([places[0][0], sum(x for x, _ in places) / 3, places[2][0]], abs=0.1)
    assert places[0][1] - places[1][1] == pytest.approx(places[1][1] - places[2][1], abs=0.1)
    assert all(0 < x < WIDTH and 0 < y < HEIGHT for x, y in places)


@pytest.mark.parametrize("points", [((1, 0),), ((5, 0), (5, 0)), ((1, 1e-9), (1e9, 1e12))])
def test_what_is_drawn_is_whole(points: tuple[tuple[float, float], ...]) -> None:
    text = drawn(curve(Line(name="l", points=points)))
    assert len(circles(text)) == len(points)
    assert "A < B" not in text
    assert "A &lt; B &amp; C" in text


def test_two_lines_are_named() -> None:
    one, two = Line(name="first", points=((1, 1),)), Line(name="second", points=((1, 2),))
    text = drawn(curve(one, two))
    assert " first" in text
    assert " second" in text
    assert " first" not in drawn(curve(one))


def test_a_curve_that_is_drawn_again_takes_its_own_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def rows(folder: Path, most: int) -> list[Curve]:
        asked.append(most)
        return [curve(Line(name="l", points=((1, len(asked)),)), name="rows")]

    async def others(folder: Path, most: int) -> list[Curve]:
        return [curve(Line(name="l", points=((1, 1),)), name="others")]

    monkeypatch.setattr(growth, "CURVES", {"rows": rows, "others": others})
    assert growth.main(["--out", str(tmp_path)]) == 0
    assert growth.main(["--out", str(tmp_path), "--only", "rows", "--most", "7"]) == 0
    kept = {one["name"]: one["lines"][0]["points"] for one in json.loads((tmp_path / growth.NUMBERS).read_text())}
    assert kept == {"rows": [[1, 2]], "others": [[1, 1]]}
    assert asked == [50_000, 7]
    assert {file.suffix for file in tmp_path.iterdir()} == {".svg", ".json", ".md"}


def test_what_is_committed_is_what_is_drawn() -> None:
    """The drawings and the page are made from the numbers beside them."""
    curves = growth.read(growth.OUT)
    assert curves
    for one in curves:
        assert (growth.OUT / f"{one.name}.svg").read_text(encoding="utf-8") == drawn(one)
    assert (growth.OUT / "README.md").read_text(encoding="utf-8") == growth.page(curves)
