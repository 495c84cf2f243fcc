"""The page of gauges: what it says fits beside what it measures."""

from __future__ import annotations

from desktop.windows.health import Gauge


def test_a_gauge_with_a_long_name_cuts_its_name_and_not_its_value(qtbot) -> None:
    gauge = Gauge("clock", "Délai de la boucle de cette fenêtre", said=str)
    qtbot.addWidget(gauge)
    gauge.say("1 234,5 Mo/s", "309 Go libres")
    gauge.rename("Mémoire du service worker, qui fonctionne ailleurs, sous un autre nom")
    assert gauge.minimumSizeHint().width() <= 310, "two of them fit into the window's smallest width"
