"""Packages for Linux, of programs that stand in for the frozen ones: what is in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from desktop.system.platforms.ports import APP_ID
from installers.linux import appimage, build, manual, packages, shared
from installers.linux.packages import PACKAGES, Part
from tests.installers.linux.stand_in import FILES, RELEASE, built, said, stand_in
from worker_core.cli.root import SECTIONS

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's packages are built on Linux")


@pytest.fixture(scope="module")
def debs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if shutil.which("dpkg-deb") is None:
        pytest.skip("dpkg-deb is missing")
    return built("deb", tmp_path_factory.mktemp("deb"))


@pytest.fixture(scope="module")
def rpms(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    if shutil.which("rpmbuild") is None:
        pytest.skip("rpmbuild, of the package rpm, is missing")
    return built("rpm", tmp_path_factory.mktemp("rpm"))


def fields(package: Path) -> dict[str, str]:
    return dict(line.split(": ", 1) for line in said("dpkg-deb", "--field", package).splitlines() if ": " in line)


def test_a_deb_needs_what_its_part_needs(debs: dict[str, Path]) -> None:
    worker, desktop, playground = (fields(debs[one.name]) for one in PACKAGES)
    assert worker["Depends"] == "libc6 (>= 2.36), libcrypt1"
    assert desktop["Depends"] == "kubiya-worker (= 1.2.3), libegl1, libgl1, fontconfig-config"
    assert playground["Depends"] == "kubiya-worker (= 1.2.3)"
    assert {one["Version"] for one in (worker, desktop, playground)} == {"1.2.3"}


def test_the_worker_brings_nothing_that_draws(debs: dict[str, Path], rpms: dict[str, Path]) -> None:
    asked = fields(debs["kubiya-worker"])["Depends"] + fields(debs["kubiya-worker"])["Recommends"]
    asked += said("rpm", "-qp", "--requires", "--recommends", rpms["kubiya-worker"])
    assert not re.search(r"libgl|libegl|libopengl|mesa|font|wayland|xcb|x11", asked, re.IGNORECASE)


def test_a_library_that_nobody_knows_fails_the_build(tmp_path: Path) -> None:
    parts = stand_in(tmp_path, RELEASE.version)
    parts["worker"] = Part(tree=parts["worker"].tree, outside=("libstrange.so.7",))
    with pytest.raises(packages.Unpackaged, match=r"libstrange\.so\.7 is not known"):
        list(build.build("deb", parts, tmp_path, release=RELEASE))


def listed(package: Path) -> dict[str, tuple[str, str]]:
    """Mode and owner of each file of a .deb."""
    found = {}
    for line in said("dpkg-deb", "--contents", package).splitlines():
        mode, owner, _, _, _, name = line.split(maxsplit=5)
        found[name.split(" -> ")[0].removeprefix("./").rstrip("/")] = (mode, owner)
    return found


def test_what_is_in_a_deb_is_root_s_and_as_executable_as_it_must_be(debs: dict[str, Path]) -> None:
    for package in debs.values():
        for name, (mode, owner) in listed(package).items():
            assert owner == "root/root"
            wanted = "-rwxr-xr-x" if name.endswith(("/versions", "/temporal")) else "-rw-r--r--"
            wanted = "-rwxr-xr-x" if re.search(r"/packaged/1\.2\.3/kubiya-worker", name) else wanted
            assert mode == {"d": "drwxr-xr-x", "l": "lrwxrwxrwx"}.get(mode[0], wanted), name


def test_no_two_packages_have_the_same_file(debs: dict[str, Path]) -> None:
    files = [{name for name, (mode, _) in listed(one).items() if mode[0] != "d"} for one in debs.values()]
    assert sum(map(len, files)) == len(set().union(*files))


def test_a_deb_s_sums_are_those_of_its_files(debs: dict[str, Path], tmp_path: Path) -> None:
    for name, package in debs.items():
        said("dpkg-deb", "--raw-extract", package, tmp_path / name)
        sums = said("sh", "-c", 'cd "$0" && md5sum --check --strict DEBIAN/md5sums', tmp_path / name)
        files = [one for one in (tmp_path / name / "usr").rglob("*") if one.is_file() and not one.is_symlink()]
        assert sums.count(": OK") == len(files)


def test_scripts_of_packages_are_shell(debs: dict[str, Path], rpms: dict[str, Path], tmp_path: Path) -> None:
    scripts = [FILES / "versions", FILES / "install.sh"]
    for name, package in debs.items():
        said("dpkg-deb", "--control", package, tmp_path / name)
        scripts += [one for one in (tmp_path / name).iterdir() if one.name in {"postinst", "prerm", "postrm"}]
    for name, package in rpms.items():
        scripts.append(tmp_path / f"{name}.rpm.sh")
        text = re.sub(r"(?m)^\w+ (?:scriptlet|program).*:.*$", "", said("rpm", "-qp", "--scripts", package))
        scripts[-1].write_text(text)
    for script in scripts:
        said("sh", "-n", script)
        assert "@VERSION@" not in script.read_text()


def test_an_rpm_owns_its_folders_and_names_what_it_needs(rpms: dict[str, Path]) -> None:
    rows = {
        name: said("rpm", "-qp", "--qf", "[%{FILENAMES}\t%{FILEUSERNAME}:%{FILEGROUPNAME}\n]", one).splitlines()
        for name, one in rpms.items()
    }
    for lines in rows.values():
        owned = {line.split("\t")[0] for line in lines}
        assert {line.split("\t")[1] for line in lines} == {"root:root"}
        folders = {str(parent) for name in owned for parent in Path(name).parents}
        assert folders - owned <= {f"/{one}".rstrip("/") or "/" for one in build.rpm.OF_THE_SYSTEM} | {"/"}
    wanted = set(said("rpm", "-qp", "--requires", rpms["kubiya-worker-desktop"]).splitlines())
    assert wanted >= {"kubiya-worker = 1.2.3-1", "libEGL.so.1()(64bit)", "libGL.so.1()(64bit)", "fontconfig"}
    assert "libc.so.6(GLIBC_2.36)(64bit)" in said("rpm", "-qp", "--requires", rpms["kubiya-worker"]).splitlines()


def test_lists_of_packages_name_ours(debs: dict[str, Path], rpms: dict[str, Path]) -> None:
    """One that is misspelled would never be found."""
    ours = {one.name for one in PACKAGES}
    for package in PACKAGES:
        named = [*package.needs, *package.deb_suggests, *package.rpm_suggests]
        assert {one for one in named if one.startswith("kubiya")} <= ours
    assert debs.keys() == rpms.keys() == ours


def test_each_command_has_a_man_page() -> None:
    pages = manual.pages(RELEASE)
    commands = {name for entries in SECTIONS.values() for name in entries}
    assert pages.keys() == {"kubiya-worker.1"} | {f"kubiya-worker-{name}.1" for name in commands}
    for page in pages.values():
        assert page.startswith(('.TH "KUBIYA\\-WORKER', '.TH "KUBIYA-WORKER'))
        requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
        assert requests <= {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".BR", ".nf", ".fi"}
    assert "\\-\\-queue\\-id" in pages["kubiya-worker-start.1"]
    assert "kubiya\\-worker policy audit" in pages["kubiya-worker-policy.1"]


def test_man_pages_are_read_without_a_complaint(tmp_path: Path) -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is missing")
    for name, page in manual.pages(RELEASE).items():
        (tmp_path / name).write_text(page)
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-z", *sorted(tmp_path.iterdir())], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_desktop_finds_one_name_everywhere(debs: dict[str, Path], tmp_path: Path) -> None:
    assert packages.APP_ID == APP_ID
    share = Path("usr/share")
    names = listed(debs["kubiya-worker-desktop"]).keys()
    icons = [f"{share}/icons/hicolor/{size}x{size}/apps/{APP_ID}.png" for size in shared.ICON_SIZES]
    for name in (f"{share}/applications/{APP_ID}.desktop", f"{share}/metainfo/{APP_ID}.metainfo.xml", *icons):
        assert name in names
    said("dpkg-deb", "--extract", debs["kubiya-worker-desktop"], tmp_path)
    from PySide6.QtGui import QImage

    for size, icon in zip(shared.ICON_SIZES, icons, strict=True):
        image = QImage(str(tmp_path / icon))
        assert (image.width(), image.height()) == (size, size)
        assert image.pixelColor(0, 0).alpha() == 0, "a corner is round"
        assert image.pixelColor(size // 2, size // 8).alpha() == 255
    entry = (tmp_path / share / "applications" / f"{APP_ID}.desktop").read_text()
    assert f"Icon={APP_ID}\n" in entry


def test_validators_have_nothing_to_say(tmp_path: Path) -> None:
    entry, info = FILES / f"{APP_ID}.desktop", tmp_path / f"{APP_ID}.metainfo.xml"
    info.write_text(shared.metainfo(RELEASE))
    assert "1.2.3" in info.read_text()
    found = 0
    for command in (["desktop-file-validate", str(entry)], ["appstreamcli", "validate", "--no-net", str(info)]):
        if shutil.which(command[0]) is not None:
            said(*command)
            found += 1
    if not found:
        pytest.skip("desktop-file-validate and appstreamcli are missing")


def test_an_appimage_is_its_runtime_and_a_file_system(tmp_path: Path) -> None:
    if shutil.which("mksquashfs") is None:
        pytest.skip("mksquashfs, of the package squashfs-tools, is missing")
    runtime = tmp_path / "runtime"
    runtime.write_bytes(b"\x7fELF" + bytes(4092))
    made = []
    for turn in ("one", "another one"):
        (tmp_path / turn).mkdir()
        parts = stand_in(tmp_path / turn, RELEASE.version)
        made.append(appimage.build(tmp_path / turn, parts, RELEASE, runtime=runtime))
    assert made[0].read_bytes() == made[1].read_bytes()
    assert os.access(made[0], os.X_OK)
    said("unsquashfs", "-q", "-n", "-o", "4096", "-d", tmp_path / "mounted", made[0])
    root = tmp_path / "mounted"
    assert said(root / "AppRun", "worker") == said(root / "AppRun") == "1.2.3\n"
    assert (root / f"{APP_ID}.desktop").read_text().count("Exec=kubiya-worker-desktop\n") == 1
    assert (root / f"{APP_ID}.png").is_file()
