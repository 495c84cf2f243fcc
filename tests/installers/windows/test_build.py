"""What installs the programs on Windows, as far as it can be looked at where neither NSIS nor wixl is."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from desktop.look.language import LANGUAGES
from installers.windows import build, manifests, msi

WINDOWS = Path(build.__file__).parent


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "kubiya-worker"
    for name in ("kubiya-worker.exe", f"1.2.3/{build.OURS}", "1.2.3/a b/$0.txt", "1.2.3/a b/ü.txt"):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    return folder


def test_setup_names_each_file_and_takes_away_only_those(programs: Path, tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    build.nsis_lists(programs, work)
    install, remove = ((work / name).read_text("utf-8-sig").splitlines() for name in ("files.nsh", "folders.nsh"))
    assert [line for line in install if line.startswith("SetOutPath")] == [
        'SetOutPath "$INSTDIR\\1.2.3\\a b"', 'SetOutPath "$INSTDIR\\1.2.3\\worker_core"', 'SetOutPath "$INSTDIR"'
    ]  # fmt: skip
    assert f'File "{programs}/1.2.3/a b/$0.txt"'.replace("/", str(Path("/"))) in install or sys.platform == "win32"
    assert remove == [
        'Delete "$INSTDIR\\1.2.3\\a b\\$$0.txt"',
        'Delete "$INSTDIR\\1.2.3\\a b\\ü.txt"',
        'Delete "$INSTDIR\\1.2.3\\worker_core\\__init__.pyc"',
        'Delete "$INSTDIR\\kubiya-worker.exe"',
        'RMDir "$INSTDIR\\1.2.3\\a b"',
        'RMDir "$INSTDIR\\1.2.3\\worker_core"',
        'RMDir "$INSTDIR\\1.2.3"',
    ]


def test_no_setup_is_made_of_what_a_later_one_would_not_know(programs: Path, tmp_path: Path) -> None:
    (programs / "1.2.3" / build.OURS).unlink()
    with pytest.raises(ValueError, match=r"has no worker_core/__init__.pyc, by which a later setup knows"):
        build.build_setup(build.here, programs, version="1.2.3", icon=tmp_path / "icon.ico", output=tmp_path, fast=True)


def test_every_text_of_setup_is_there_in_every_language() -> None:
    said = re.findall(r'LangString (\w+) \$\{LANG_(\w+)\} ".+"', (WINDOWS / "texts.nsh").read_text(encoding="utf-8"))
    used = set()
    for name in ("setup.nsi", "leaving.nsh", "shortcut.nsh"):
        used |= set(re.findall(r"\$\((\w+)\)", (WINDOWS / name).read_text(encoding="utf-8")))
    setup = (WINDOWS / "setup.nsi").read_text(encoding="utf-8")
    languages = re.findall(r'MUI_LANGUAGE "(\w+)"', setup)
    assert sorted(said) == sorted((name, language.upper()) for name in used for language in languages)
    assert len(languages) == len(LANGUAGES), "setup speaks what the window speaks"


def test_setup_and_window_name_the_same_things() -> None:
    from desktop.system.platforms.ports import APP_ID
    from desktop.system.platforms.windows import APPROVED, RUN, VALUE

    defined = dict(re.findall(r'!define (\w+) "(.+)"', (WINDOWS / "setup.nsi").read_text(encoding="utf-8")))
    assert [defined[name] for name in ("APP_ID", "RUN", "APPROVED", "RUN_VALUE")] == [APP_ID, RUN, APPROVED, VALUE]


@pytest.mark.parametrize(
    ("version", "numbers"),
    [
        ("0.1.0", "0.1.0.0"),
        ("1.2", "1.2.0.0"),
        ("2.0.1rc3", "2.0.1.0"),
        ("3.1.4.dev5", "3.1.4.0"),
        ("1.2rc3", "1.2.0.0"),
    ],
)
def test_windows_wants_four_numbers(version: str, numbers: str) -> None:
    assert build.numbers(version) == numbers


def test_the_msi_has_the_same_identifiers_wherever_it_is_built(programs: Path, tmp_path: Path) -> None:
    from xml.etree import ElementTree as Xml

    def made(version: str) -> str:
        return Xml.tostring(msi.source(programs, version=version, icon=tmp_path / "icon.ico"), encoding="unicode")

    assert made("1.2.3") == made("1.2.3")
    one, other = (
        set(re.findall(r'(?:Id|Guid|Code)="(\w{8}-[\w-]{27})"', made(version))) for version in ("1.2.3", "1.2.4")
    )
    assert {msi.UPGRADE_CODE, msi.product_code("1.2.3")} <= one
    assert one - other == {msi.product_code("1.2.3")}
    assert "$$0.txt" in made("1.2.3")


def test_windows_installer_compares_three_numbers(programs: Path, tmp_path: Path) -> None:
    """It refuses a package whose version has anything else."""
    product = msi.source(programs, version="1.2rc3", icon=tmp_path / "icon.ico").find("Product")
    assert product is not None
    assert product.get("Version") == "1.2.0"


def test_what_wixl_makes_anew_is_replaced(tmp_path: Path) -> None:
    known, random = "8F5E1F0A-0000-1111-2222-0D3D4A1F7C11", b"0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"
    section = struct.pack("<II", 36, 1) + struct.pack("<II", 12, 16) + struct.pack("<IQ", 64, 1234567)
    summary = b"\xfe\xff" + bytes(22) + struct.pack("<I", 1) + msi.SUMMARY + struct.pack("<I", 48) + section
    file = tmp_path / "made.msi"
    file.write_bytes(b"Path" + random + known.encode() + b"f" + random + summary)
    msi.settle(file, known=known.encode(), seed="seed", when=1_700_000_000)
    settled = file.read_bytes()
    assert random not in settled
    assert known.encode() in settled
    first, second = re.findall(rb"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[0-9a-f-]{17}", settled)
    assert first == second
    assert struct.pack("<Q", (1_700_000_000 + 11_644_473_600) * 10_000_000) in settled


def test_winget_s_manifests_fit_their_format(tmp_path: Path) -> None:
    setup, package = tmp_path / build.SETUP.format(version="1.2.3"), tmp_path / build.MSI.format(version="1.2.3")
    setup.write_bytes(b"setup")
    package.write_bytes(b"msi")
    schema = json.loads((WINDOWS / "winget.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    documents = manifests.documents([setup, package], version="1.2.3")
    assert len(documents) == 3
    for document in documents.values():
        jsonschema.validate(document, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, "PackageVersion": "1/2"}, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({**document, "Unknown": "1"}, schema)
    written = manifests.write([setup, package], version="1.2.3", output=tmp_path / "winget")
    assert [file.name for file in written] == list(documents)
    said = written[1].read_text(encoding="utf-8")
    assert 'PackageVersion: "1.2.3"\n' in said
    assert "Commands:\n- " in said
    assert 'Installers:\n- Architecture: "x64"\n  InstallerUrl: "https://' in said
    assert said.count("InstallerSha256") == 2


def test_where_nothing_can_be_built_it_says_so(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "installers.windows.build",
        "--folder",
        str(tmp_path),
        "--output",
        str(tmp_path / "made"),
    ]
    for option, code in (([], 1), (["--if-possible"], 0)):
        done = subprocess.run(
            [*command, *option], cwd=WINDOWS.parents[1], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (code, "")
        assert "holds no programs of Windows" in done.stdout
