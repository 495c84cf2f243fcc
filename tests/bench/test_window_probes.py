"""What the bench looks through at a window, without being seen in what it measures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("PySide6.QtWidgets", reason="the desktop extra is not installed", exc_type=ImportError)

from PySide6.QtCore import QSize

from bench.window_probes import own_picture

LINE, LINES = 4 * 1024, 2_500


def mapped_kb() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("\nRssShmem:")[2].split()[0])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_is_painted_into_is_gone_afterwards() -> None:
    before, whole = mapped_kb(), LINE * LINES // 1024
    with own_picture(QSize(LINE // 4, LINES)) as picture:
        assert (picture.width(), picture.height(), picture.depth()) == (LINE // 4, LINES, 32)
        assert mapped_kb() - before >= whole
    assert mapped_kb() - before < whole
