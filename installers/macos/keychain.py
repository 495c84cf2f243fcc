"""Puts a signing certificate into a keychain of its own, on a machine that builds and is then thrown away.

From the environment: MACOS_CERTIFICATE (a PKCS #12 file in base64) and MACOS_CERTIFICATE_PASSWORD. `security` takes
passwords as arguments alone, which other processes see: so the certificate is sealed anew, with a password that is made
here, before it is imported.

Usage: python -m installers.macos.keychain
"""

from __future__ import annotations

import base64
import os
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from installers.macos.signing import Run, run

NAME: Final = "kubiya-release.keychain-db"
LOCKED_AFTER_SECONDS: Final = 3600


def resealed(certificate: str, password: str, new_password: str) -> bytes:
    """The same key and certificates below another password, in a form that `security` can read.

    Raises:
        ValueError: it is no PKCS #12, or the password is another one.
    """
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import PrivateFormat, pkcs12

    found = pkcs12.load_pkcs12(base64.b64decode(certificate), password.encode())
    if found.key is None or found.cert is None:
        raise ValueError("MACOS_CERTIFICATE holds no key with its certificate.")
    # Keychains read no PKCS #12 that is sealed with AES-256; the file lives for a second, in a folder of its own.
    sealing = (
        PrivateFormat.PKCS12.encryption_builder()
        .kdf_rounds(50_000)
        .key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
        .hmac_hash(hashes.SHA1())  # noqa: S303
        .build(new_password.encode())
    )
    others = [one.certificate for one in found.additional_certs]
    return pkcs12.serialize_key_and_certificates(
        b"release", found.key, found.cert.certificate, others, sealing  # type: ignore[arg-type]
    )  # fmt: skip


def install(environ: Mapping[str, str], *, run: Run = run) -> str:
    """Make the keychain and let `codesign` use it; a sentence about what was done.

    Raises:
        ValueError: the certificate cannot be read.
    """
    certificate, password = environ.get("MACOS_CERTIFICATE", ""), environ.get("MACOS_CERTIFICATE_PASSWORD", "")
    if not certificate:
        return "There is no certificate: MACOS_CERTIFICATE is not set. What is built is signed by nobody."
    ours = secrets.token_urlsafe(24)
    with tempfile.TemporaryDirectory(prefix="certificate-") as folder:
        file = Path(folder, "certificate.p12")
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(resealed(certificate, password, ours))
        run(["security", "create-keychain", "-p", ours, NAME])
        run(["security", "set-keychain-settings", "-lut", str(LOCKED_AFTER_SECONDS), NAME])
        run(["security", "unlock-keychain", "-p", ours, NAME])
        run(["security", "import", str(file), "-P", ours, "-k", NAME, "-T", "/usr/bin/codesign"])
    run(["security", "set-key-partition-list", "-S", "apple-tool:,apple:", "-s", "-k", ours, NAME])
    run(["security", "list-keychains", "-d", "user", "-s", NAME, "login.keychain-db"])
    return f"The certificate is in {NAME}."


def main() -> int:
    try:
        print(install(os.environ))
    except (ValueError, OSError, subprocess.CalledProcessError) as error:
        why = f"{error.cmd[1]} failed" if isinstance(error, subprocess.CalledProcessError) else str(error)
        print(f"The certificate could not be installed: {why}.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
