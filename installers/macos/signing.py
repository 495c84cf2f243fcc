"""Signs, notarises and staples, where credentials are given; says so where they are not.

From the environment: MACOS_SIGNING_IDENTITY (its name in the keychain, as "Developer ID Application: ..."), and for the
notary MACOS_NOTARY_KEY (an App Store Connect key, the text of its .p8 file), MACOS_NOTARY_KEY_ID, MACOS_NOTARY_ISSUER.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from installers.macos.bundle import ENTITLEMENTS
from installers.macos.mach_o import mach_o_files

AD_HOC: Final = "-"
"""Nobody's signature: enough for a program to run where it was built, and for nothing else."""

NOTARY_LIMIT: Final = "30m"
Run = Callable[[Sequence[str]], object]


def run(command: Sequence[str]) -> object:
    """Raises subprocess.CalledProcessError."""
    return subprocess.run(command, check=True)


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """`notary_key` is the one secret. Empty: it was not given."""

    identity: str = ""
    notary_key: str = ""
    notary_key_id: str = ""
    notary_issuer: str = ""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Credentials:
        return cls(
            identity=environ.get("MACOS_SIGNING_IDENTITY", ""),
            notary_key=environ.get("MACOS_NOTARY_KEY", ""),
            notary_key_id=environ.get("MACOS_NOTARY_KEY_ID", ""),
            notary_issuer=environ.get("MACOS_NOTARY_ISSUER", ""),
        )

    def __repr__(self) -> str:
        return f"Credentials(identity={self.identity!r}, can_notarise={self.can_notarise})"

    @property
    def can_notarise(self) -> bool:
        return bool(self.identity and self.notary_key and self.notary_key_id and self.notary_issuer)

    @property
    def missing(self) -> str:
        """The variables that would be needed for a release, as a list in a sentence; empty: none."""
        given = {
            "MACOS_SIGNING_IDENTITY": self.identity,
            "MACOS_NOTARY_KEY": self.notary_key,
            "MACOS_NOTARY_KEY_ID": self.notary_key_id,
            "MACOS_NOTARY_ISSUER": self.notary_issuer,
        }
        return ", ".join(name for name, value in given.items() if not value)


def sign(app: Path, credentials: Credentials, *, run: Run = run) -> str:
    """Sign a bundle from the inside out, with the hardened runtime; a sentence about what was done.

    `codesign --deep` gives one set of entitlements to everything and is not meant for signing (Apple, TN3125), so each
    file is named: libraries first, then frameworks, the programs, and the bundle that seals them.
    """
    identity = credentials.identity or AD_HOC
    command = ["codesign", "--force", "--options", "runtime", "--sign", identity]
    if identity != AD_HOC:
        command.append("--timestamp")  # the notary asks for one
    programs = sorted((app / "Contents" / "MacOS").iterdir())
    inside = [one for one in mach_o_files(app) if one not in programs]
    for one in sorted(inside, key=lambda path: (-len(path.parts), str(path))):
        run([*command, str(one)])
    for framework in sorted(app.rglob("*.framework"), key=lambda path: (-len(path.parts), str(path))):
        if not framework.is_symlink():
            run([*command, str(framework)])
    with_rights = [*command, "--entitlements", str(ENTITLEMENTS)]
    for program in programs:
        if program.is_file() and not program.is_symlink():
            run([*with_rights, str(program)])
    run([*with_rights, str(app)])
    run(["codesign", "--verify", "--strict", "--deep", str(app)])
    if identity == AD_HOC:
        return (
            "Signed by nobody (ad hoc), since MACOS_SIGNING_IDENTITY is not set: it runs here, and Gatekeeper refuses "
            "it on other machines."
        )
    return f"Signed by {identity}."


def notarise(image: Path, credentials: Credentials, *, run: Run = run) -> str:
    """Sign a disk image, let Apple's notary see it, and staple its ticket to it; a sentence about what was done."""
    if credentials.identity:
        run(["codesign", "--force", "--timestamp", "--sign", credentials.identity, str(image)])
    if not credentials.can_notarise:
        return f"Not notarised: {credentials.missing} not set."
    with tempfile.TemporaryDirectory(prefix="notary-") as folder:
        key = Path(folder, "key.p8")
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(credentials.notary_key)
        run(
            [
                "xcrun", "notarytool", "submit", str(image), "--key", str(key), "--key-id", credentials.notary_key_id,
                "--issuer", credentials.notary_issuer, "--wait", "--timeout", NOTARY_LIMIT,
            ]
        )  # fmt: skip
    run(["xcrun", "stapler", "staple", str(image)])
    run(["spctl", "--assess", "--type", "open", "--context", "context:primary-signature", str(image)])
    return "Notarised, and the ticket is stapled to it."
