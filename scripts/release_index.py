"""Makes and reads the signed list of releases (`docs/releases.md`).

Usage: python scripts/release_index.py new-key FILE
       python scripts/release_index.py keys --root FILE --generation N [--days N] KEY... > keys.json
       python scripts/release_index.py index --keys keys.json --version V --dist FOLDER [--previous FILE]
                                             [--withdraw V=WHY] [--days N] > release-index.json
       python scripts/release_index.py check FILE

`new-key` prints the public half; `check` reads a list as the program does, with the keys that it has. `index` signs
with the key in the file that KUBIYA_RELEASE_KEY_FILE names, or in the variable KUBIYA_RELEASE_KEY: never an argument.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from desktop.notices.release_index import (
    FORMAT,
    Envelope,
    PackageFile,
    Release,
    ReleaseIndex,
    Seen,
    Signed,
    SigningKeys,
    believed,
    index_message,
    key_id,
    keys_message,
    numbers_of,
)
from desktop.notices.releases import root_keys
from worker_core.errors import KubiyaError

KEY, KEY_FILE = "KUBIYA_RELEASE_KEY", "KUBIYA_RELEASE_KEY_FILE"
PACKAGES = (".deb", ".rpm", ".tar.xz", ".AppImage", ".exe", ".msi", ".dmg", ".whl")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    new_key = commands.add_parser("new-key")
    new_key.add_argument("file", type=Path)
    keys = commands.add_parser("keys")
    keys.add_argument("--root", type=Path, required=True)
    keys.add_argument("--generation", type=int, required=True)
    keys.add_argument("--days", type=int, default=730)
    keys.add_argument("key", nargs="+")
    index = commands.add_parser("index")
    index.add_argument("--keys", type=Path, required=True)
    index.add_argument("--version", required=True)
    index.add_argument("--dist", type=Path, required=True)
    index.add_argument("--previous", type=Path)
    index.add_argument("--withdraw", action="append", default=[], metavar="VERSION=WHY")
    index.add_argument("--days", type=int, default=90)
    check = commands.add_parser("check")
    check.add_argument("file", type=Path)
    given = parser.parse_args()
    try:
        match given.command:
            case "new-key":
                print(make_key(given.file))
            case "keys":
                print(signed_keys(given.root.read_text(), given.key, generation=given.generation, days=given.days))
            case "index":
                print(
                    signed_index(
                        own_key(), given.keys.read_bytes(), given.previous.read_bytes() if given.previous else b"",
                        version=given.version, files=packages(given.dist), days=given.days,
                        withdrawn=dict(one.split("=", 1) for one in given.withdraw),
                    )
                )  # fmt: skip
            case _:
                print(check_file(given.file.read_bytes()))
    except (KubiyaError, ValueError, OSError, msgspec.MsgspecError) as error:
        print(f"{error}", file=sys.stderr)
        return 1
    return 0


def make_key(file: Path) -> str:
    """Write the private half for this user alone; returns the public one."""
    key = Ed25519PrivateKey.generate()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(base64.b64encode(key.private_bytes_raw()).decode() + "\n")
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def own_key() -> str:
    if name := os.environ.get(KEY_FILE):
        return Path(name).read_text(encoding="ascii")
    if key := os.environ.get(KEY):
        return key
    raise ValueError(f"There is no key to sign with: name its file in {KEY_FILE}, or give it in {KEY}.")


def signed_keys(root: str, keys: list[str], *, generation: int, days: int) -> str:
    """By a root key: these keys sign lists from now on, and those of earlier generations no more."""
    for one in keys:
        if len(base64.b64decode(one, validate=True)) != 32:
            raise ValueError(f"{one} is no Ed25519 public key: 32 bytes in base64.")
    said = SigningKeys(
        format=FORMAT, generation=generation, expires=datetime.now(UTC) + timedelta(days=days), keys=keys
    )
    payload = msgspec.json.encode(said)
    return msgspec.json.encode(_signed(root, payload, keys_message(payload))).decode()


def signed_index(
    key: str,
    keys: bytes,
    previous: bytes,
    *,
    version: str,
    files: list[PackageFile],
    days: int,
    withdrawn: dict[str, str],
) -> str:
    """The list before, with one more release, the next number and a new end."""
    if not numbers_of(version):
        raise ValueError(f"{version} is no version of a release, such as 1.2.3.")
    before = _index_in(previous) if previous else None
    now = datetime.now(UTC).replace(microsecond=0)
    releases = [one for one in (before.releases if before else []) if one.version != version]
    releases.append(Release(version=version, released=now, files=files))
    if unknown := withdrawn.keys() - {one.version for one in releases}:
        raise ValueError(f"There is no release {', '.join(sorted(unknown))} to withdraw.")
    index = ReleaseIndex(
        format=FORMAT,
        sequence=before.sequence + 1 if before else 1,
        issued=now,
        expires=now + timedelta(days=days),
        releases=[
            msgspec.structs.replace(one, withdrawn=withdrawn.get(one.version, one.withdrawn)) for one in releases
        ],
    )
    payload = msgspec.json.encode(index)
    envelope = Envelope(
        keys=msgspec.json.decode(keys, type=Signed), index=_signed(key, payload, index_message(payload))
    )
    return msgspec.json.encode(envelope).decode()


def packages(folder: Path) -> list[PackageFile]:
    """What is to be compared by whoever downloads it."""
    found = [one for one in sorted(folder.rglob("*")) if one.is_file() and one.name.endswith(PACKAGES)]
    if not found:
        raise ValueError(f"There is no package in {folder}.")
    return [
        PackageFile(name=one.name, size=one.stat().st_size, sha256=hashlib.sha256(one.read_bytes()).hexdigest())
        for one in found
    ]


def check_file(content: bytes) -> str:
    """As the program would read it: what it would tell."""
    roots = root_keys()
    if not roots:
        raise ValueError("This program has no root keys (desktop/notices/release_roots.py): it believes no list.")
    index, seen = believed(content, roots=roots, seen=Seen(), now=datetime.now(UTC))
    return (
        f"number {seen.sequence}, keys {seen.generation}, until {index.expires:%Y-%m-%d}: the newest is {index.newest}"
    )


def _index_in(content: bytes) -> ReleaseIndex:
    payload = msgspec.json.decode(content, type=Envelope).index.payload
    return msgspec.json.decode(base64.b64decode(payload), type=ReleaseIndex)


def _signed(private: str, payload: bytes, message: bytes) -> Signed:
    key = Ed25519PrivateKey.from_private_bytes(base64.b64decode(private.strip(), validate=True))
    name = key_id(key.public_key().public_bytes_raw())
    signature = base64.b64encode(key.sign(message)).decode()
    return Signed(payload=base64.b64encode(payload).decode(), signatures={name: signature})


if __name__ == "__main__":
    sys.exit(main())
