"""Every Mach-O file of the wheels that are frozen: `make test-macos`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from installers.macos.bundle import MINIMUM
from installers.macos.mach_o import SAY_WHAT_BUILT_THEM, faults, mach_o_files, slices

WHEELS = os.environ.get("KUBIYA_TEST_MACOS", "")
pytestmark = pytest.mark.skipif(not WHEELS, reason="the wheels for macOS are not here: make test-macos")

WITHOUT_A_WHEEL = {"arm64": set[str](), "x86_64": {"cryptography"}}
"""What is built from its source there. cryptography has had no wheels for Macs with Intel since 49."""


@pytest.fixture(autouse=True, scope="module")
def macholib() -> Iterator[None]:
    sys.path.append(os.environ["KUBIYA_TEST_MACHOLIB"])
    yield
    sys.path.remove(os.environ["KUBIYA_TEST_MACHOLIB"])


NOT_FROZEN = tuple(
    f"PySide6/Qt/{one}/" for one in ("plugins/sqldrivers", "plugins/designer", "plugins/qmltooling", "qml", "libexec")
)
"""Of PySide6: databases, QML, and Qt's own tools."""


@pytest.mark.parametrize("processor", ["arm64", "x86_64"])
def test_all_of_it_runs_on_the_oldest_macos_that_the_bundle_names(processor: str) -> None:
    folder = Path(WHEELS, processor)
    assert len(list(mach_o_files(folder))) > 60
    said = [one for one in faults(folder, processor=processor, oldest=MINIMUM) if not one.startswith(NOT_FROZEN)]
    # PyInstaller takes folders of the machine that built a library out of it.
    assert {one.partition("/")[0] for one in said if "looks for libraries in" in one} <= {"PIL"}
    assert [one for one in said if "looks for libraries in" not in one] == []
    assert set(Path(WHEELS, f"lacking-{processor}").read_text().split()) == WITHOUT_A_WHEEL[processor]


def test_the_oldest_macos_is_named_because_something_needs_it() -> None:
    """Were it lower, a user of an older Mac would be refused for nothing. What is not believed is not for nothing."""
    needed: dict[bool, set[tuple[int, int]]] = {True: set(), False: set()}
    folder = Path(WHEELS, "arm64")
    for path in mach_o_files(folder):
        name = path.relative_to(folder).as_posix()
        if name.startswith(NOT_FROZEN):
            continue
        of_the_builder = SAY_WHAT_BUILT_THEM.search(name) is not None
        needed[of_the_builder] |= {one.minimum for one in slices(path)}
    assert max(needed[False]) == MINIMUM
    assert min(needed[True]) > MINIMUM


def test_a_file_for_another_processor_or_a_newer_macos_is_named() -> None:
    folder = Path(WHEELS, "arm64")
    assert any("is not for x86_64" in one for one in faults(folder, processor="x86_64", oldest=MINIMUM))
    older = faults(folder, processor="arm64", oldest=(13, 0))
    assert any("needs macOS 14.4, and 13.0 is supported" in one for one in older)
