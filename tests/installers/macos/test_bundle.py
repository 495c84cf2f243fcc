"""The bundle for macOS as far as no Mac is needed: what it says of itself, and how it is signed, sealed and offered."""

from __future__ import annotations

import base64
import hashlib
import plistlib
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from cryptography.x509.oid import NameOID

from desktop.system.platforms import macos as autostart
from installers.freezing.layout import PROGRAMS
from installers.macos import build, bundle, keychain, mach_o, signing
from installers.macos.cask import cask, image_name
from installers.macos.signing import Credentials
from tests.support.imports import ROOT
from worker_core import __version__

RELEASE = Credentials(
    identity="Developer ID Application: Somebody (ABCDE12345)",
    notary_key="-----BEGIN PRIVATE KEY-----",
    notary_key_id="KEY1",
    notary_issuer="issuer-1",
)


class Recorder:
    """In the place of Apple's programs: what each was asked, and what lay in the files that it was given."""

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.files: dict[str, tuple[bytes, int]] = {}

    def __call__(self, command: Sequence[str]) -> None:
        self.commands.append(list(command))
        for one in map(Path, command):
            if one.suffix in {".p8", ".p12"} and one.is_file():
                self.files[one.suffix] = (one.read_bytes(), one.stat().st_mode & 0o777)
            if command[0] == "hdiutil" and one.suffix == ".dmg":
                one.write_bytes(b"image")

    @property
    def words(self) -> set[str]:
        return {word for command in self.commands for word in command}


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A bundle as PyInstaller lays it out: programs, libraries, a framework of Qt's, links."""
    made = tmp_path / f"{bundle.NAME}.app"
    contents = made / "Contents"
    library = bytes.fromhex("cffaedfe0c000001") + b"library"
    for name in PROGRAMS:
        (contents / "MacOS").mkdir(parents=True, exist_ok=True)
        (contents / "MacOS" / name).write_bytes(b"#!/bin/sh\n")
    for name in ("_ssl.so", "PySide6/Qt/plugins/platforms/libqcocoa.dylib", "QtCore.framework/Versions/A/QtCore"):
        file = contents / "Frameworks" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(library)
    (contents / "Frameworks" / "text.txt").write_text("no program")
    (contents / "Resources").mkdir()
    (contents / "Resources" / "_ssl.so").symlink_to("../Frameworks/_ssl.so")
    (contents / "Info.plist").write_bytes(plistlib.dumps(bundle.info_plist()))
    return made


# --- what it says of itself ------------------------------------------------------------------------------------------


def test_a_double_click_starts_the_tray_and_not_the_command_line() -> None:
    """PyInstaller would name the first program, and hide the windows of a bundle with a console in it."""
    said = bundle.info_plist()
    assert said["CFBundleExecutable"] in PROGRAMS
    assert PROGRAMS[said["CFBundleExecutable"]] == "start_desktop"
    assert said["LSBackgroundOnly"] is False
    assert said["LSUIElement"] is True, "a status item, no icon in the Dock"
    assert "info_plist=bundle.info_plist()" in (ROOT / "build.spec").read_text(encoding="utf-8")


def test_it_has_the_names_that_other_parts_know_it_by() -> None:
    said = bundle.info_plist()
    assert said["CFBundleIdentifier"] == autostart.BUNDLE
    assert said["CFBundleShortVersionString"] == said["CFBundleVersion"] == __version__
    assert re.fullmatch(r"\d+(\.\d+){0,2}", said["CFBundleVersion"]), "Apple takes up to three numbers"
    languages = {file.stem for file in (ROOT / "desktop/look/languages").glob("*.json")}
    assert set(said["CFBundleLocalizations"]) == {"en", *languages}
    assert plistlib.loads(plistlib.dumps(said)) == said


def test_whatever_the_system_asks_about_has_a_sentence() -> None:
    """Without one, macOS ends a program that touches such a thing, or refuses without asking."""
    usage = {key: value for key, value in bundle.info_plist().items() if key.endswith("UsageDescription")}
    for what in ("AppleEvents", "DesktopFolder", "DocumentsFolder", "DownloadsFolder", "LocalNetwork", "NetworkVolumes",
                 "RemovableVolumes"):  # fmt: skip
        assert usage[f"NS{what}UsageDescription"].endswith(".")


def test_the_hardened_runtime_gives_way_in_one_thing() -> None:
    rights = plistlib.loads(bundle.ENTITLEMENTS.read_bytes())
    assert rights == {"com.apple.security.cs.allow-unsigned-executable-memory": True}


# --- signed -----------------------------------------------------------------------------------------------------------


def test_it_is_signed_from_the_inside_out_with_the_hardened_runtime(app: Path) -> None:
    ran = Recorder()
    said = signing.sign(app, RELEASE, run=ran)
    assert said == f"Signed by {RELEASE.identity}."
    *signed, verified = ran.commands
    assert verified[:2] == ["codesign", "--verify"]
    order = [Path(command[-1]).relative_to(app).as_posix() for command in signed]
    assert order == [
        "Contents/Frameworks/PySide6/Qt/plugins/platforms/libqcocoa.dylib",
        "Contents/Frameworks/QtCore.framework/Versions/A/QtCore",
        "Contents/Frameworks/_ssl.so",
        "Contents/Frameworks/QtCore.framework",
        *(f"Contents/MacOS/{name}" for name in sorted(PROGRAMS)),
        ".",
    ]
    for command in signed:
        assert command[1:4] == ["--force", "--options", "runtime"]
        assert "--timestamp" in command
        assert "--deep" not in command
        program = "/MacOS/" in command[-1] or command[-1] == str(app)
        assert ("--entitlements" in command) == program, "libraries have no rights of their own"


def test_without_an_identity_it_is_signed_by_nobody_and_says_so(app: Path) -> None:
    ran = Recorder()
    said = signing.sign(app, Credentials(), run=ran)
    assert "MACOS_SIGNING_IDENTITY is not set" in said
    assert all("--timestamp" not in command for command in ran.commands)
    assert signing.AD_HOC in ran.words


def test_the_notary_sees_the_image_and_no_argument_has_its_key(tmp_path: Path) -> None:
    ran, image = Recorder(), tmp_path / "x.dmg"
    assert signing.notarise(image, RELEASE, run=ran).startswith("Notarised")
    assert [command[:3] for command in ran.commands[1:3]] == [
        ["xcrun", "notarytool", "submit"], ["xcrun", "stapler", "staple"],
    ]  # fmt: skip
    assert ran.files[".p8"] == (RELEASE.notary_key.encode(), 0o600)
    assert not any(RELEASE.notary_key in word for word in ran.words)
    (key,) = (word for word in ran.words if word.endswith(".p8"))
    assert not Path(key).exists()
    assert RELEASE.notary_key not in repr(RELEASE)


def test_what_is_missing_for_the_notary_is_named(tmp_path: Path) -> None:
    ran = Recorder()
    some = Credentials.from_environment({"MACOS_SIGNING_IDENTITY": "x", "MACOS_NOTARY_KEY_ID": "KEY1"})
    assert signing.notarise(tmp_path / "x.dmg", some, run=ran) == (
        "Not notarised: MACOS_NOTARY_KEY, MACOS_NOTARY_ISSUER not set."
    )
    assert [command[0] for command in ran.commands] == ["codesign"]
    ran = Recorder()
    assert "MACOS_SIGNING_IDENTITY" in signing.notarise(tmp_path / "x.dmg", Credentials(), run=ran)
    assert ran.commands == []


# --- a certificate ---------------------------------------------------------------------------------------------------


def certificate(password: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Developer ID Application: Somebody")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    sealed = pkcs12.serialize_key_and_certificates(b"x", key, made, None, BestAvailableEncryption(password.encode()))
    return base64.b64encode(sealed).decode()


def test_a_certificate_is_imported_below_a_password_of_a_moment() -> None:
    ran = Recorder()
    environ = {"MACOS_CERTIFICATE": certificate("the owner's"), "MACOS_CERTIFICATE_PASSWORD": "the owner's"}
    assert keychain.install(environ, run=ran) == f"The certificate is in {keychain.NAME}."
    assert "the owner's" not in ran.words
    (imported,) = (command for command in ran.commands if command[1] == "import")
    content, mode = ran.files[".p12"]
    moment = imported[imported.index("-P") + 1]
    assert pkcs12.load_pkcs12(content, moment.encode()).key is not None
    assert mode == 0o600
    assert not Path(imported[2]).exists()
    with pytest.raises(ValueError, match="password"):
        keychain.install({**environ, "MACOS_CERTIFICATE_PASSWORD": "another"}, run=Recorder())


def test_no_certificate_is_a_sentence_and_nothing_is_run() -> None:
    ran = Recorder()
    assert "MACOS_CERTIFICATE is not set" in keychain.install({}, run=ran)
    assert ran.commands == []


# --- packed ----------------------------------------------------------------------------------------------------------


def test_an_image_and_its_cask_are_made_of_a_bundle_that_is_right(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "faults", lambda *_, **__: [])
    ran, output = Recorder(), tmp_path / "out"
    said = build.build(app, output, Credentials(), processor="arm64", run=ran)
    assert said[1:] == [
        str(output / image_name("arm64")),
        "Not notarised: MACOS_SIGNING_IDENTITY, MACOS_NOTARY_KEY, MACOS_NOTARY_KEY_ID, MACOS_NOTARY_ISSUER not set.",
        str(output / "kubiya-worker.rb"),
    ]
    (made,) = (command for command in ran.commands if command[0] == "hdiutil")
    assert made[-1] == said[1]


def test_a_bundle_that_is_not_as_it_says_becomes_no_image(
    app: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "faults", lambda *_, **__: ["_ssl.so is not for arm64."])
    said = bundle.info_plist() | {"CFBundleExecutable": "gone", "LSUIElement": False}
    (app / "Contents" / "Info.plist").write_bytes(plistlib.dumps(said))
    ran = Recorder()
    with pytest.raises(build.NotBuilt) as caught:
        build.build(app, tmp_path / "out", Credentials(), processor="arm64", run=ran)
    for part in ("'gone' for CFBundleExecutable", "False for LSUIElement", "is not there", "_ssl.so is not for arm64"):
        assert part in str(caught.value)
    assert ran.commands == []


@pytest.mark.parametrize(
    ("one", "fault"),
    [
        (mach_o.Slice(processor="arm64", minimum=(14, 0), rpaths=("@loader_path/..",), libraries=("@rpath/a",)), ""),
        (mach_o.Slice(processor="arm64", minimum=(15, 1), rpaths=(), libraries=()), "needs macOS 15.1, and 14.0"),
        (mach_o.Slice(processor="arm64", minimum=(11, 0), rpaths=("/Users/x/lib",), libraries=()), "/Users/x/lib"),
        (mach_o.Slice(processor="arm64", minimum=(11, 0), rpaths=(), libraries=("/opt/homebrew/x",)), "loads /opt/hom"),
        (mach_o.Slice(processor="arm64", minimum=(11, 0), rpaths=(), libraries=("/usr/lib/libz.1.dylib",)), ""),
        (mach_o.Slice(processor="x86_64", minimum=(11, 0), rpaths=(), libraries=()), "is not for arm64"),
    ],
)
def test_what_a_file_may_not_be(app: Path, monkeypatch: pytest.MonkeyPatch, one: mach_o.Slice, fault: str) -> None:
    monkeypatch.setattr(mach_o, "slices", lambda _: [one])
    said = mach_o.faults(app, processor="arm64", oldest=(14, 0))
    assert bool(said) == bool(fault)
    assert all(fault in sentence for sentence in said)


def test_modules_that_name_the_macos_of_their_builder_are_not_held_to_it(
    app: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = app / "Contents/Frameworks/PySide6/QtCore.abi3.so"
    module.write_bytes((app / "Contents/Frameworks/_ssl.so").read_bytes())
    newer = mach_o.Slice(processor="arm64", minimum=(26, 0), rpaths=(), libraries=())
    monkeypatch.setattr(mach_o, "slices", lambda _: [newer])
    said = mach_o.faults(app, processor="arm64", oldest=(14, 4))
    assert sorted(Path(one.partition(":")[0]).name for one in said) == ["QtCore", "_ssl.so", "libqcocoa.dylib"]


def test_the_cask_has_the_sums_of_the_images_that_are_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no disk image"):
        cask(tmp_path)
    (tmp_path / image_name("arm64")).write_bytes(b"arm")
    one = cask(tmp_path)
    assert f'sha256 arm: "{hashlib.sha256(b"arm").hexdigest()}"\n' in one
    assert "depends_on arch: :arm64\n" in one
    (tmp_path / image_name("x86_64")).write_bytes(b"intel")
    both = cask(tmp_path)
    assert f'intel: "{hashlib.sha256(b"intel").hexdigest()}"' in both
    assert "depends_on arch" not in both
    assert 'depends_on macos: ">= :sonoma"' in both
    assert f'launchctl: "{autostart.LABEL}"' in both
    assert both.count("do\n") == both.count("\nend\n") == 1


@pytest.mark.skipif(sys.platform == "darwin", reason="a Mac can make one")
def test_elsewhere_one_sentence_says_why_there_is_no_image(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "installers.macos.build", "--output", str(tmp_path)]
    done = subprocess.run([*command, "--if-possible"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 1
    assert done.stdout.startswith("macos: A disk image for macOS is made on a Mac alone")
    assert subprocess.run(command, cwd=ROOT, capture_output=True, check=False).returncode == 1
    assert list(tmp_path.iterdir()) == []
