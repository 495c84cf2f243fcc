"""The simulated fleet keeps to the product's times, and says what breaks first."""

from __future__ import annotations

import json

import pytest

from bench.fleet import LIMITS, REGISTRATION_CALLS, Fleet, come_back, heartbeats, main, rows


def test_heartbeats_come_at_least_as_often_as_they_should() -> None:
    fleet = Fleet(workers=300)
    counted = heartbeats(fleet, seconds=200, began_within=1)
    assert sum(counted[:2]) == 300 * REGISTRATION_CALLS
    assert 300 * 6 <= sum(counted[2:]) <= 300 * 7.4


def test_a_fleet_that_began_together_does_not_stay_in_step() -> None:
    fleet = Fleet(workers=1000)
    in_step = heartbeats(fleet, seconds=300, began_within=1, in_step=True)
    spread = heartbeats(fleet, seconds=300, began_within=1)
    assert max(in_step[200:]) > 4 * max(spread[200:])


def test_who_comes_back_does_not_come_all_at_once() -> None:
    fleet = Fleet(workers=1000)
    counted = come_back(fleet, away=300, after=120)
    assert counted[0] >= 1000
    assert max(counted[120:]) < 1000 / 10
    assert sum(counted[300:]) == 1000, "each once, and then it is registered"


@pytest.mark.parametrize("workers", [100, 1000, 50_000])
def test_what_breaks_first_stands_first(workers: int) -> None:
    found = rows(Fleet(workers=workers))
    assert len(found) == len(LIMITS)
    assert [row.breaks_at_workers for row in found] == sorted(row.breaks_at_workers for row in found)
    for row in found:
        assert (row.needs > row.most) == (workers > row.breaks_at_workers)


def test_more_frontends_carry_more_workers() -> None:
    few, many = rows(Fleet(frontends=2))[0], rows(Fleet(frontends=4))[0]
    assert many.breaks_at_workers == 2 * few.breaks_at_workers


def test_the_page_and_its_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--workers", "200"]) == 0
    assert "200 workers, 1 queue each" in capsys.readouterr().out
    assert main(["--workers", "200", "--heartbeat", "10", "--json"]) == 0
    assert {"limits", "courses"} == set(json.loads(capsys.readouterr().out))


def test_numbers_are_more_than_nothing() -> None:
    with pytest.raises(SystemExit):
        main(["--workers", "0"])
