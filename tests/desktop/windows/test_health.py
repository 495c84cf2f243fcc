"""The page of gauges: what it says fits beside what it measures."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop.system.platforms.ports import Charge
from desktop.windows.health import Gauge, HealthPage
from tests.desktop.windows.stand_ins import shown_window
from tests.support.finding import reads, seen


def test_a_gauge_with_a_long_name_cuts_its_name_and_not_its_value(qtbot) -> None:
    gauge = Gauge("clock", "Délai de la boucle de cette fenêtre", said=str)
    qtbot.addWidget(gauge)
    gauge.say("1 234,5 Mo/s", "309 Go libres")
    gauge.rename("Mémoire du service worker, qui fonctionne ailleurs, sous un autre nom")
    assert gauge.minimumSizeHint().width() <= 310, "two of them fit into the window's smallest width"


@pytest.mark.parametrize(("used_up", "said"), [(True, "on battery"), (False, "plugged in")])
def test_the_battery_is_told_by_whoever_tells_the_worker_to_pause(
    qtbot, tmp_path: Path, used_up: bool, said: str
) -> None:
    window = shown_window(qtbot, tmp_path, charge=lambda: Charge(percent=41.0, used_up=used_up))
    window.show_page("health")
    page = window.page_named("health")
    assert isinstance(page, HealthPage)
    page.sample()
    assert reads(page, "41 %")
    assert reads(page, said)


def test_a_machine_without_a_battery_has_no_gauge_for_one(qtbot, tmp_path: Path) -> None:
    window = shown_window(qtbot, tmp_path, charge=Charge)
    window.show_page("health")
    page = window.page_named("health")
    assert isinstance(page, HealthPage)
    page.sample()
    assert [gauge for gauge in seen(page, Gauge) if reads(gauge, "Processor")]
    assert not [gauge for gauge in seen(page, Gauge) if reads(gauge, "Battery")]
