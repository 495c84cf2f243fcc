"""The signed list of releases, with real keys: made by the script, served on a real socket, believed or not."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.notices.release_index import LARGEST_BYTES, NotBelieved, Seen, believed, index_message
from desktop.notices.releases import INDEX, ask, root_keys
from scripts import release_index as maker
from worker_core import __version__
from worker_core.errors import KubiyaError

NOW = datetime.now(UTC)


@dataclass
class Keyring:
    """Keys of a releaser: the private halves in files, as the script writes them."""

    folder: Path
    public: dict[str, str] = field(default_factory=dict)

    def make(self, name: str) -> str:
        self.public[name] = maker.make_key(self.folder / name)
        return self.public[name]

    def private(self, name: str) -> str:
        return (self.folder / name).read_text()

    def raw(self, name: str) -> bytes:
        return base64.b64decode(self.public[name])


@dataclass
class Releaser:
    ring: Keyring
    generation: int = 1
    signs: str = "list"
    made: str = ""

    @property
    def keys(self) -> str:
        return maker.signed_keys(
            self.ring.private("root"), [self.ring.public[self.signs]], generation=self.generation, days=730
        )

    def release(self, version: str, *, days: int = 90, afresh: bool = False, **withdrawn: str) -> bytes:
        said = {name.replace("v", "", 1).replace("_", "."): why for name, why in withdrawn.items()}
        before = b"" if afresh else self.made.encode()
        self.made = maker.signed_index(
            self.ring.private(self.signs), self.keys.encode(), before, version=version, files=[], days=days,
            withdrawn=said,
        )  # fmt: skip
        return self.made.encode()

    def read(self, content: bytes, seen: Seen | None = None, now: datetime = NOW) -> tuple[Any, Seen]:
        return believed(content, roots=[self.ring.raw("root")], seen=seen or Seen(), now=now)


@pytest.fixture
def releaser(tmp_path: Path) -> Releaser:
    ring = Keyring(tmp_path)
    for name in ("root", "list"):
        ring.make(name)
    return Releaser(ring)


def test_what_was_signed_is_believed_and_the_newest_is_by_its_numbers(releaser: Releaser) -> None:
    for version in ("0.9.0", "0.10.0", "0.2.0"):
        content = releaser.release(version)
    index, seen = releaser.read(content)
    assert (index.newest, seen) == ("0.10.0", Seen(generation=1, sequence=3))
    index, _ = releaser.read(releaser.release("0.3.0", v0_10_0="It loses\n data. " + "x" * 999))
    assert index.newest == "0.9.0"
    assert index.withdrawn("0.10.0").startswith("It loses data. xxx")
    assert len(index.withdrawn("0.10.0")) == 200
    assert index.withdrawn("0.9.0") == index.withdrawn("unknown") == ""


def test_an_older_list_does_not_come_back(releaser: Releaser) -> None:
    old = releaser.release("1.0.0")
    new = releaser.release("1.1.0")
    _, seen = releaser.read(new)
    assert releaser.read(new, seen)[1] == seen, "the same one again is none"
    with pytest.raises(NotBelieved, match=r"older than one that was seen \(number 1, and 2 was seen\)"):
        releaser.read(old, seen)


def test_a_list_that_is_held_back_is_noticed_at_its_end(releaser: Releaser) -> None:
    content = releaser.release("1.0.0", days=90)
    releaser.read(content, now=NOW + timedelta(days=89))
    with pytest.raises(NotBelieved, match=r"ended on .* and there is no newer one"):
        releaser.read(content, now=NOW + timedelta(days=91))
    with pytest.raises(NotBelieved, match="keys that sign the list of releases ended"):
        releaser.read(releaser.release("1.1.0", days=9999), now=NOW + timedelta(days=731))


def test_a_key_is_replaced_without_a_new_program_and_the_old_one_counts_no_more(releaser: Releaser) -> None:
    releaser.ring.make("next")
    stolen = releaser.release("1.0.0")
    _, seen = releaser.read(stolen)
    releaser.generation, releaser.signs = 2, "next"
    _, seen = releaser.read(releaser.release("1.1.0"), seen)
    assert seen.generation == 2
    releaser.generation, releaser.signs = 1, "list"
    with pytest.raises(NotBelieved, match="keys that were replaced"):
        releaser.read(releaser.release("6.6.6"), seen)


def test_whoever_stole_a_key_cannot_take_the_highest_number_away_for_ever(releaser: Releaser) -> None:
    stolen = json.loads(releaser.release("1.0.0"))
    payload = json.loads(base64.b64decode(stolen["index"]["payload"]))
    forged = msgspec.json.encode({**payload, "sequence": 2**60})
    key = maker.Ed25519PrivateKey.from_private_bytes(base64.b64decode(releaser.ring.private("list")))
    stolen["index"]["payload"] = base64.b64encode(forged).decode()
    (name,) = stolen["index"]["signatures"]
    stolen["index"]["signatures"][name] = base64.b64encode(key.sign(index_message(forged))).decode()
    _, seen = releaser.read(json.dumps(stolen).encode())
    assert seen.sequence == 2**60
    releaser.ring.make("next")
    releaser.generation, releaser.signs = 2, "next"
    index, seen = releaser.read(releaser.release("1.1.0", afresh=True), seen)
    assert (index.newest, seen) == ("1.1.0", Seen(generation=2, sequence=1))


def test_a_root_key_is_one_that_the_program_knows(releaser: Releaser) -> None:
    content = releaser.release("1.0.0")
    other = base64.b64decode(releaser.ring.make("other"))
    with pytest.raises(NotBelieved, match="not signed by the root keys"):
        believed(content, roots=[other], seen=Seen(), now=NOW)
    with pytest.raises(NotBelieved, match="not signed by the root keys"):
        believed(content, roots=[], seen=Seen(), now=NOW)
    believed(content, roots=[other, releaser.ring.raw("root")], seen=Seen(), now=NOW)


def test_a_list_signed_by_a_key_that_no_root_named_is_not_believed(releaser: Releaser) -> None:
    releaser.ring.make("evil")
    genuine = json.loads(releaser.release("1.0.0"))
    releaser.signs = "evil"
    forged = json.loads(releaser.release("6.6.6"))
    with pytest.raises(NotBelieved, match="not signed by its present keys"):
        releaser.read(json.dumps({"keys": genuine["keys"], "index": forged["index"]}).encode())


def test_what_was_signed_as_one_thing_is_not_another(releaser: Releaser) -> None:
    """A root key is also made to sign lists: its words about keys are no list all the same."""
    genuine = json.loads(releaser.release("1.0.0"))
    releaser.signs = "root"
    keys = json.loads(releaser.keys)
    with pytest.raises(NotBelieved, match="not signed by its present keys"):
        releaser.read(json.dumps({"keys": keys, "index": genuine["keys"]}).encode())
    with pytest.raises(NotBelieved, match="not signed by the root keys"):
        releaser.read(json.dumps({"keys": genuine["index"], "index": genuine["index"]}).encode())


def test_no_byte_may_change(releaser: Releaser) -> None:
    genuine = json.loads(releaser.release("1.0.0"))
    for part in ("keys", "index"):
        payload = bytearray(base64.b64decode(genuine[part]["payload"]))
        for at in range(0, len(payload), 7):
            changed = bytearray(payload)
            changed[at] ^= 1
            forged = {**genuine, part: {**genuine[part], "payload": base64.b64encode(changed).decode()}}
            with pytest.raises(NotBelieved, match="is not signed by"):
                releaser.read(json.dumps(forged).encode())


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Releaser, bytes]:
    ring = Keyring(tmp_path_factory.mktemp("keys"))
    for name in ("root", "list"):
        ring.make(name)
    releaser = Releaser(ring)
    return releaser, releaser.release("1.0.0")


@given(at=st.integers(0, 3000), instead=st.binary(max_size=9), length=st.integers(0, 9))
def test_whatever_is_answered_is_believed_as_it_was_signed_or_is_a_sentence(
    genuine: tuple[Releaser, bytes], at: int, instead: bytes, length: int
) -> None:
    releaser, content = genuine
    with contextlib.suppress(NotBelieved):
        index, _ = releaser.read(content[:at] + instead + content[at + length :])
        assert index.newest == "1.0.0"


def test_another_format_is_said(releaser: Releaser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maker, "FORMAT", 2)
    with pytest.raises(NotBelieved, match="has format 2, and this version knows 1"):
        releaser.read(releaser.release("1.0.0"))


# --- asked for ----------------------------------------------------------------------------------------------------


class Place:
    """Serves one answer for each path."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[str] = []
        place = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                place.asked.append(self.path)
                status, headers, body = place.answers.get(self.path, (404, {}, b""))
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # one that refuses the size hangs up
                    self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    thread = threading.Thread(target=made.server.serve_forever)
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


async def test_it_is_asked_for_once_wherever_the_page_leads(place: Place, releaser: Releaser) -> None:
    releaser.release(__version__)
    content = releaser.release("9.0.0", **{"v" + __version__.replace(".", "_"): "It loses data."})
    place.answers[f"/releases/{INDEX}"] = (302, {"Location": "/elsewhere/list"}, b"")
    place.answers["/elsewhere/list"] = (200, {}, content)
    answer = await ask(f"{place.url}/releases", roots=[releaser.ring.raw("root")], seen=Seen())
    assert (answer.version, answer.withdrawn) == ("9.0.0", "It loses data.")
    assert answer.seen == Seen(generation=1, sequence=2)
    assert place.asked == [f"/releases/{INDEX}", "/elsewhere/list"], "and nothing is downloaded"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((404, {}, b""), "has no list of releases \\(it answered 404\\)"),
        ((200, {}, b"<html>"), "What was answered is no list"),
        ((200, {}, b"x" * (LARGEST_BYTES + 1)), "larger than 1,000,000 bytes"),
        ((302, {"Location": "http://192.0.2.1/list"}, b""), "leads to a place without TLS"),
        ((302, {"Location": "file:///etc/passwd"}, b""), "leads to a place without TLS"),
        ((302, {"Location": f"/releases/{INDEX}"}, b""), "has no list of releases \\(it answered 302\\)"),
    ],
)  # fmt: skip
async def test_what_is_no_list_is_a_sentence(
    place: Place, releaser: Releaser, answer: tuple[int, dict[str, str], bytes], why: str
) -> None:
    place.answers[f"/releases/{INDEX}"] = answer
    with pytest.raises(KubiyaError, match=why):
        await ask(f"{place.url}/releases", roots=[releaser.ring.raw("root")], seen=Seen())
    assert len(place.asked) <= 4


async def test_a_program_without_root_keys_asks_for_a_number_alone(place: Place) -> None:
    place.answers["/releases/latest"] = (302, {"Location": "/releases/tag/v1.2.3"}, b"")
    answer = await ask(f"{place.url}/releases", roots=(), seen=Seen())
    assert (answer.version, answer.seen) == ("1.2.3", None)
    assert place.asked == ["/releases/latest"]


def test_the_keys_in_the_program_are_keys() -> None:
    assert all(len(key) == 32 for key in root_keys())


# --- the script -----------------------------------------------------------------------------------------------------


def test_the_script_signs_what_lies_in_a_folder_and_keeps_private_halves_private(
    tmp_path: Path, releaser: Releaser, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "kubiya-worker.deb").write_bytes(b"package")
    (tmp_path / "dist" / "SHA256SUMS").write_text("sums")
    (tmp_path / "keys.json").write_text(releaser.keys)
    assert os.name == "nt" or (releaser.ring.folder / "list").stat().st_mode & 0o077 == 0
    monkeypatch.setenv(maker.KEY, releaser.ring.private("list"))
    arguments = ["index", "--keys", str(tmp_path / "keys.json"), "--version", "1.0.0", "--dist", str(tmp_path / "dist")]
    monkeypatch.setattr("sys.argv", ["release_index.py", *arguments])
    assert maker.main() == 0
    index, _ = releaser.read(capsys.readouterr().out.encode())
    assert [(one.name, one.size) for one in index.releases[0].files] == [("kubiya-worker.deb", 7)]
    monkeypatch.delenv(maker.KEY)
    assert maker.main() == 1
    assert "There is no key to sign with" in capsys.readouterr().err
