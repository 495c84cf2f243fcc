"""Keys from files: what is read, what is refused with a sentence, and a file that is replaced while a worker runs."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import keyring
import keyring.backends.fail
import pytest

from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.errors import ControlPlaneError
from worker_core.errors import ConfigurationError, ExitCode
from worker_core.key_sources import API_KEY, LONGEST_BYTES, KeyInFile, given_key, resolve_api_key
from worker_core.logs.redaction import MASK, Redactor
from worker_core.secrets import KeyringStore, Secret
from worker_core.settings import Settings, load

URL = "https://control-plane.example.test"
posix = pytest.mark.skipif(os.name == "nt", reason="rights and pipes of files are those of POSIX")


def key_file(folder: Path, text: str = "kb-canary-112233\n", name: str = "key") -> Path:
    file = folder / name
    file.write_text(text)
    file.chmod(0o600)
    return file


def replace(file: Path, text: str) -> None:
    """As Kubernetes, editors and `install` do it."""
    new = file.with_name(".new")
    new.write_text(text)
    new.chmod(0o600)
    new.replace(file)


async def test_the_file_that_a_variable_names(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    settings = load(environ={"KUBIYA_API_KEY_FILE": str(file), "LITELLM_API_KEY_FILE": str(file)})
    given = await resolve_api_key({}, KeyringStore(), URL, file=settings.api_key_file)
    assert (given.secret.reveal(), given.source) == ("kb-canary-112233", str(file))
    assert settings.llm_api_key == given.secret
    assert "canary" not in repr((given, settings))


def test_flags_over_environment_over_file(tmp_path: Path) -> None:
    files = [key_file(tmp_path, f"kb-key-{one}", one) for one in ("flag", "variable", "settings")]
    config = tmp_path / "config.toml"
    config.write_text(f"llm_api_key_file = '{files[2]}'\n")
    environ = {"LITELLM_API_KEY_FILE": str(files[1])}
    assert load(environ={}, file=config).llm_api_key.reveal() == "kb-key-settings"
    assert load(environ=environ, file=config).llm_api_key.reveal() == "kb-key-variable"
    flags = {"llm_api_key_file": str(files[0])}
    assert load(environ=environ, flags=flags, file=config).llm_api_key.reveal() == "kb-key-flag"


def test_a_credential_of_systemd(tmp_path: Path) -> None:
    key_file(tmp_path, "kb-of-systemd", "kubiya-api-key")
    key_file(tmp_path, "sk-of-systemd", "litellm-api-key")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    given = given_key(API_KEY, environ, None)
    assert given is not None
    assert given.secret.reveal() == "kb-of-systemd"
    assert load(environ=environ).llm_api_key.reveal() == "sk-of-systemd"
    assert given_key(API_KEY, {"CREDENTIALS_DIRECTORY": str(tmp_path / "none")}, None) is None


def test_two_keys_that_differ_are_refused_and_equal_ones_are_one(tmp_path: Path) -> None:
    file = key_file(tmp_path)
    same = given_key(API_KEY, {"KUBIYA_API_KEY": "kb-canary-112233"}, file)
    assert same is not None
    assert isinstance(same.secret, KeyInFile)  # the one that may be replaced
    with pytest.raises(ConfigurationError, match="Two different keys") as caught:
        given_key(API_KEY, {"KUBIYA_API_KEY": "kb-canary-445566"}, file)
    assert str(file) in caught.value.sentence
    assert "KUBIYA_API_KEY" in caught.value.sentence
    assert "canary" not in caught.value.sentence
    with pytest.raises(ConfigurationError, match="Two different keys"):
        load(environ={"LITELLM_API_KEY": "sk-other", "LITELLM_API_KEY_FILE": str(file)})


@pytest.mark.parametrize("text", ["{}", "{}\n", "{}\r\n", "\ufeff{}\n", " {} \n\n"])
def test_what_editors_add_is_taken_off(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(text.format("kb-canary-112233").encode())
    assert KeyInFile(file).reveal() == "kb-canary-112233"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"a" * (LONGEST_BYTES + 1), "larger than"),
        (b"kb-canary 112233", "a blank"),
        (b"kb-canary\xff112233", "none of ASCII"),
    ],
)
def test_a_file_that_holds_no_key(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "key"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=said) as caught:
        KeyInFile(file)
    assert str(file) in caught.value.sentence
    assert "canary" not in caught.value.sentence
    assert caught.value.exit_code is ExitCode.NOT_CONFIGURED


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(environ={"LITELLM_API_KEY_FILE": str(tmp_path / "none")})


@posix
@pytest.mark.parametrize("kind", ["folder", "pipe", "unreadable", "writable by others"])
def test_what_is_no_file_of_ones_own(tmp_path: Path, kind: str) -> None:
    file = tmp_path / "key"
    match kind:
        case "folder":
            file.mkdir()
        case "pipe":
            assert sys.platform != "win32"
            os.mkfifo(file)
        case "unreadable":
            key_file(tmp_path).chmod(0)
            if os.access(file, os.R_OK):
                pytest.skip("root reads what nobody may read")
        case _:
            tmp_path.chmod(0o755)
            key_file(tmp_path).chmod(0o666)
    with pytest.raises(ConfigurationError, match=r"no plain file|cannot be read|Others could have written"):
        KeyInFile(file)


async def test_without_any_key_the_sentence_names_the_file() -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(keyring.backends.fail.Keyring())
    try:
        with pytest.raises(ConfigurationError, match="KUBIYA_API_KEY_FILE"):
            await resolve_api_key({}, KeyringStore(), URL)
    finally:
        keyring.set_keyring(before)


class Server(ThreadingHTTPServer):
    """Answers everything with an empty object, and knows which keys it was shown."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.shown: list[str] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.server.shown.append(self.headers["Authorization"])
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    thread = Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


async def test_a_replaced_key_is_used_from_the_next_request_on_and_masked_before(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = key_file(tmp_path, "kb-first-112233")
    redactor, secret = Redactor(), KeyInFile(file)
    redactor.add(secret)
    address = f"http://127.0.0.1:{server.server_port}"
    client = ControlPlaneClient.of(Settings(control_plane_url=address), secret)
    caplog.set_level(logging.INFO)
    try:
        for text in ("kb-first-112233", "kb-second-445566", "kb-third-778899"):
            replace(file, text)
            with contextlib.suppress(ControlPlaneError):  # there is no such owner
                await client.validate_key()
            assert server.shown[-1] == f"Bearer {text}"
            assert redactor.mask(f"it is {text}") == f"it is {MASK}"
    finally:
        await client.aclose()
    assert redactor.mask("it was kb-first-112233") == f"it was {MASK}"  # a server may still say it
    assert caplog.text.count("was replaced") == 2
    assert [part for part in ("112233", "445566", "778899") if part in caplog.text] == []


@pytest.mark.parametrize("damage", ["gone", "empty", "no key"])
def test_a_key_goes_on_being_used_while_its_file_is_none(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = key_file(tmp_path, "kb-first-112233")
    secret = KeyInFile(file)
    if damage == "gone":
        file.unlink()
    else:
        replace(file, "" if damage == "empty" else "no key at all")
    assert [secret.reveal() for _ in range(3)] == ["kb-first-112233"] * 3
    assert caplog.text.count("goes on being used") == 1
    key_file(tmp_path, "kb-second-445566")
    assert secret.reveal() == "kb-second-445566"
    assert secret == Secret("kb-second-445566")


def test_a_file_that_did_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret, opened = KeyInFile(key_file(tmp_path)), []
    monkeypatch.setattr("worker_core.key_sources.os.open", lambda *_: opened.append(1))
    assert {secret.reveal() for _ in range(100)} == {"kb-canary-112233"}
    assert not opened


@posix
def test_a_secret_of_kubernetes_is_followed_through_its_links(tmp_path: Path) -> None:
    """`key` -> `..data/key`, `..data` -> a folder of the day: the link in the middle is what is replaced."""
    for day, text in (("monday", "kb-first-112233"), ("tuesday", "kb-second-445566")):
        (tmp_path / day).mkdir()
        key_file(tmp_path / day, text)
    (tmp_path / "..data").symlink_to("monday")
    (tmp_path / "key").symlink_to("..data/key")
    secret = KeyInFile(tmp_path / "key")
    assert secret.reveal() == "kb-first-112233"
    (tmp_path / "..new").symlink_to("tuesday")
    (tmp_path / "..new").replace(tmp_path / "..data")
    assert secret.reveal() == "kb-second-445566"
