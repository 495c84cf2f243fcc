"""Which release is the newest: one request, and only a number is taken from its answer."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st

from desktop.notices.releases import RELEASES_URL, VARIABLE, is_newer, newest_release, releases_url
from worker_core.errors import ConfigurationError, KubiyaError


class Page:
    """A page of releases on a real socket; `location` is where its `/latest` leads."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.status, self.location, self.body = 302, "https://example.com/r/releases/tag/v1.2.3", b""
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                page.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}))
                self.send_response(page.status)
                if page.location:
                    self.send_header("Location", page.location)
                self.send_header("Set-Cookie", "followed=1")
                self.send_header("Content-Length", str(len(page.body)))
                self.end_headers()
                with contextlib.suppress(ConnectionError):  # one that refuses the size hangs up
                    self.wfile.write(page.body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/releases"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def page() -> Iterator[Page]:
    made = Page()
    yield made
    made.close()


async def test_one_request_that_says_nothing_of_who_asks(page: Page) -> None:
    assert await newest_release(page.url) == "1.2.3"
    assert await newest_release(page.url) == "1.2.3"
    for method, path, headers in page.asked:
        assert (method, path) == ("GET", "/releases/latest")
        assert headers["user-agent"] == "kubiya-worker"
        assert set(headers) <= {"host", "user-agent", "accept", "accept-encoding", "connection"}, "no cookie, no name"


@pytest.mark.parametrize(
    ("status", "location"),
    [
        (200, ""), (404, ""), (302, ""), (302, "https://example.com/releases"), (302, "/releases/tag/latest"),
        (302, "https://example.com/tag/v1.2"), (302, "/tag/v1.2.3-rc1"), (302, "/tag/v" + "9" * 200 + ".1.1"),
        (302, "javascript:alert(1)"), (500, "https://[::1"),
    ],
)  # fmt: skip
async def test_what_names_no_release_is_a_sentence(page: Page, status: int, location: str) -> None:
    page.status, page.location = status, location
    with pytest.raises(KubiyaError, match=r"does not (say which release|answer)"):
        await newest_release(page.url)


async def test_a_large_answer_is_not_read(page: Page) -> None:
    page.body = b"x" * 50_000_000
    assert await newest_release(page.url) == "1.2.3"


async def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(KubiyaError, match=r"127\.0\.0\.1 does not answer"):
        await newest_release("http://127.0.0.1:1/releases")


@pytest.mark.parametrize(
    ("release", "ours", "newer"),
    [
        ("1.0.0", "0.9.0", True), ("0.10.0", "0.9.9", True), ("0.9.0", "0.9.0", False), ("0.8.9", "0.9.0", False),
        ("0.9.0", "0.9.0.dev3", False), ("0.9.1", "0.9.0+local", True), ("", "0.9.0", False),
        ("1.0.0", "unknown", False),
    ],
)  # fmt: skip
def test_versions_are_compared_by_their_numbers(release: str, ours: str, newer: bool) -> None:
    assert is_newer(release, ours) is newer


@given(st.text(max_size=60), st.text(max_size=60))
def test_no_version_is_trouble(release: str, ours: str) -> None:
    assert is_newer(release, ours) in {True, False}


def test_another_page_may_be_named_with_tls_or_on_this_machine() -> None:
    assert releases_url({}) == RELEASES_URL
    assert releases_url({VARIABLE: "https://mirror.example/releases/"}) == "https://mirror.example/releases"
    assert releases_url({VARIABLE: "http://localhost:8080/r"}) == "http://localhost:8080/r"
    for wrong in ("http://mirror.example/releases", "file:///etc/passwd", "mirror", "https://", "https://[mirror"):
        with pytest.raises(ConfigurationError, match="must begin with https://"):
            releases_url({VARIABLE: wrong})
