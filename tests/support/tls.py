"""A certificate of a test's own, made by the system's openssl."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest


class Authority:
    """Signs itself, for one name and all below it; `file` is the PEM that a client must be given to trust it."""

    def __init__(self, folder: Path, *, name: str) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("there is no openssl")
        self.file, key = folder / "certificate.pem", folder / "key.pem"
        subprocess.run(
            [
                program, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj", f"/O=Test/CN={name}",
                "-addext", f"subjectAltName=DNS:{name},DNS:*.{name}", "-keyout", str(key), "-out", str(self.file),
            ],
            check=True,
            capture_output=True,
        )  # fmt: skip
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.file, key)
