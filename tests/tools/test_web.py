"""Pages from real sockets. What counts as public is decided by the test, since only this machine is there."""

from __future__ import annotations

import asyncio
import gzip
import ipaddress
import os
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.http_server import Answer, Request, Server, serving
from tests.tools.conftest import Call
from worker_core.network import reachable
from worker_core.network.reachable import Network, NetworkPolicy
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.tools.html_text import LONGEST_TEXT
from worker_core.tools.registry import SkillDefinition, offer
from worker_core.tools.web import LARGEST_BYTES, FetchTool

HTML = {"Content-Type": "text/html; charset=utf-8"}


class Names:
    """A name server of our own: each name's answers, one after the other; the last one stays."""

    def __init__(self, **names: list[list[str]]) -> None:
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.append(host)
        answers = self.names.get(host)
        if answers is None:
            raise OSError("no such name")
        return answers.pop(0) if len(answers) > 1 else answers[0]


Pages = dict[str, Callable[[Request], Answer] | Answer]


@pytest.fixture
def pages() -> Pages:
    return {}


@pytest.fixture
def server(pages: Pages) -> Iterator[Server]:
    def answer(request: Request) -> Answer:
        found = pages.get(request.path, Answer(404, HTML, (b"<p>not here</p>",)))
        return found if isinstance(found, Answer) else found(request)

    with serving(answer) as running:
        yield running


def loopback_is_public(address: reachable.Address) -> bool:
    return str(address) == "127.0.0.1"


def tool(names: Names | None = None, **options: Any) -> FetchTool:
    own: dict[str, Any] = {"resolve": names or Names(page_test=[["127.0.0.1"]]), "is_public": loopback_is_public}
    return FetchTool(**{**own, "timeout": timedelta(seconds=20), **options})


async def test_a_page_becomes_text(call: Call, server: Server, pages: Pages) -> None:
    html = (
        "<!doctype html><html><head><title>The &amp; title</title><style>p{}</style></head><body><h1>Head</h1>"
        "<script>alert(1)</script><p>One <b>bold</b> word,\n and <a href='/next?a=1'>a link</a>.<ul><li>x<li>y</ul>"
        "<pre>a  b\n  c</pre></body></html>"
    )
    pages["/a?q=1"] = Answer(200, HTML, (html.encode(),))
    result = await call(tool(), {"url": f"http://page.test:{server.port}/a?q=1#part"})
    assert result.succeeded, result.error
    base = f"http://page.test:{server.port}"
    assert result.output.startswith(f"The & title\n{base}/a?q=1#part\n\n# Head\n")
    assert f"One bold word, and a link <{base}/next?a=1>." in result.output
    assert "- x\n- y" in result.output
    assert "a  b" in result.output
    assert "alert" not in result.output
    [request] = server.requests
    assert request.method == "GET"
    assert request.headers["host"] == f"page.test:{server.port}"
    assert not {"cookie", "authorization"} & set(request.headers)
    raw = await call(tool(), {"url": f"{base}/a?q=1", "raw": True})
    assert "<script>alert(1)</script>" in raw.output


async def test_json_and_other_text_come_as_they_are(call: Call, server: Server, pages: Pages) -> None:
    pages["/j"] = Answer(200, {"Content-Type": "application/vnd.api+json"}, (b'{"a": 1}',))
    pages["/t"] = Answer(200, {"Content-Type": "text/plain; charset=latin-1"}, ("grün".encode("latin-1"),))
    pages["/n"] = Answer(200, {}, (b"no type",))
    pages["/z"] = Answer(200, {"Content-Type": "text/plain; charset=zip"}, (b"odd",))
    pages["/m"] = Answer(200, {"Content-Type": "text/html"}, ('<meta charset="cp1251"><p>Привет'.encode("cp1251"),))
    for path, said in {"/j": '{"a": 1}', "/t": "grün", "/n": "no type", "/z": "odd", "/m": "Привет"}.items():
        result = await call(tool(), {"url": f"http://page.test:{server.port}{path}"})
        assert result.output.endswith(f"\n\n{said}")


async def test_what_is_no_text_is_named(call: Call, server: Server, pages: Pages) -> None:
    pages["/i"] = Answer(200, {"Content-Type": "image/png", "Content-Length": "3"}, (b"png",))
    result = await call(tool(), {"url": f"http://page.test:{server.port}/i"})
    assert "is no text (image/png, 3 bytes)" in (result.error or "")


async def test_statuses_that_are_errors_are_shown_with_what_came(call: Call, server: Server) -> None:
    result = await call(tool(), {"url": f"http://page.test:{server.port}/missing"})
    assert not result.succeeded
    assert result.error == "The server answered with status 404."
    assert "not here" in result.output


@pytest.mark.parametrize("packed", ["gzip", "deflate", "br"])
async def test_packed_pages(call: Call, server: Server, pages: Pages, packed: str) -> None:
    content = {"gzip": gzip.compress(b"hello"), "deflate": zlib.compress(b"hello"), "br": b"\x0b\x02\x80hello\x03"}
    headers = {"Content-Type": "text/plain", "Content-Encoding": packed}
    pages["/p"] = Answer(200, headers, (content[packed],))
    result = await call(tool(), {"url": f"http://page.test:{server.port}/p"})
    if packed == "br":
        assert "not asked for" in (result.error or "")
    else:
        assert result.output.endswith("hello")


async def test_a_bomb_and_an_endless_page_are_cut(call: Call, server: Server, pages: Pages) -> None:
    bomb = gzip.compress(b"0" * 200_000_000, compresslevel=9)
    pages["/bomb"] = Answer(200, {"Content-Type": "text/plain", "Content-Encoding": "gzip"}, (bomb,))
    pages["/endless"] = Answer(200, {"Content-Type": "text/plain"}, (b"1" * 65536,) * 1000)
    before = psutil.Process().memory_info().rss
    for path in ("/bomb", "/endless"):
        result = await call(tool(), {"url": f"http://page.test:{server.port}{path}"})
        assert result.succeeded, result.error
        assert f"its first {LARGEST_BYTES} bytes are shown" in result.output
        assert result.output_bytes < LARGEST_BYTES + 500
        assert result.saved_to is not None
    assert psutil.Process().memory_info().rss - before < 100_000_000


async def test_a_page_that_does_not_end_has_a_limit(call: Call, server: Server, pages: Pages) -> None:
    over = threading.Event()
    pages["/slow"] = Answer(200, {"Content-Type": "text/plain"}, (b"x", lambda: over.wait(30) and None, b"y"))
    try:
        result = await call(tool(timeout=timedelta(seconds=0.5)), {"url": f"http://page.test:{server.port}/slow"})
    finally:
        over.set()
    assert result.error == "The page did not come within 0.5 s. Try another source."


async def test_redirects_are_followed_and_each_is_checked(call: Call, server: Server, pages: Pages) -> None:
    base = f"http://page.test:{server.port}"
    pages["/1"] = Answer(302, {"Location": "/2"})
    pages["/2"] = Answer(301, {"Location": f"http://other.test:{server.port}/3"})
    pages["/3"] = Answer(200, {"Content-Type": "text/plain"}, (b"there",))
    pages["/in"] = Answer(302, {"Location": f"http://inside.test:{server.port}/3"})
    pages["/ip"] = Answer(302, {"Location": f"http://10.0.0.1:{server.port}/3"})
    pages["/file"] = Answer(302, {"Location": "file:///etc/passwd"})
    pages["/circle"] = Answer(302, {"Location": "/circle"})
    for number in range(10):
        pages[f"/n{number}"] = Answer(302, {"Location": f"/n{number + 1}"})
    public = [["127.0.0.1"]]
    names = Names(page_test=public, other_test=public, inside_test=[["192.168.1.1"]])
    names.names["10.0.0.1"] = [["10.0.0.1"]]
    found = await call(tool(names), {"url": f"{base}/1"})
    assert found.output.endswith("there")
    assert f"http://other.test:{server.port}/3" in found.output
    count = len(server.requests)
    for path, said in {
        "/in": "'inside.test' is not on the public internet",
        "/ip": "'10.0.0.1' is not on the public internet",
        "/file": "cannot be fetched",
        "/circle": "in a circle",
        "/n0": "more than 5 times",
    }.items():
        result = await call(tool(names), {"url": f"{base}{path}"})
        assert said in (result.error or "")
    assert len(server.requests) == count + 3 + 1 + 6


async def test_a_name_that_changes_its_address_is_asked_once(call: Call, server: Server, pages: Pages) -> None:
    """DNS rebinding: the second answer leads inside. We connect to the first, and never ask again."""
    pages["/"] = Answer(200, {"Content-Type": "text/plain"}, (b"first",))
    names = Names(rebind_test=[["127.0.0.1"], ["169.254.169.254"]])
    result = await call(tool(names), {"url": f"http://rebind.test:{server.port}/"})
    assert result.output.endswith("first")
    assert names.asked == ["rebind.test"]
    pages["/again"] = Answer(302, {"Location": "/"})
    names = Names(rebind_test=[["127.0.0.1"], ["169.254.169.254"]])
    result = await call(tool(names), {"url": f"http://rebind.test:{server.port}/again"})
    assert "not on the public internet" in (result.error or "")
    mixed = Names(mixed_test=[["127.0.0.1", "10.0.0.1"]])
    result = await call(tool(mixed), {"url": f"http://mixed.test:{server.port}/"})
    assert "not on the public internet" in (result.error or "")


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://127.1/", "http://2130706433/", "http://0x7f.0.0.1/",
        "http://0/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://10.1.2.3/",
        "http://192.168.0.1/", "http://172.16.0.1/", "http://169.254.169.254/latest/meta-data/", "http://[fe80::1]/",
        "http://[fd00:ec2::254]/", "http://168.63.129.16/", "http://100.100.100.200/", "http://192.0.0.192/",
        "http://100.64.0.1/", "http://0.0.0.0/", "http://224.0.0.1/", "http://255.255.255.255/", "http://[::]/",
        "http://[64:ff9b::7f00:1]/", "http://[2002:7f00:1::]/", "http://[fec0::1]/", "http://[::127.0.0.1]/",
        "http://198.18.0.1/", "http://192.0.2.1/", "http://[2001:db8::1]/", "http://localhost./",
    ],
)  # fmt: skip
async def test_addresses_inside_are_refused_by_the_real_rules(call: Call, url: str) -> None:
    """With the system's own resolver and the real rules; nothing is connected to."""
    result = await call(FetchTool(), {"url": url})
    assert not result.succeeded
    assert "is not on the public internet" in (result.error or "") or "cannot be resolved" in (result.error or "")


def test_the_machines_own_addresses_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reachable, "own_addresses", lambda: frozenset({ipaddress.ip_address("8.8.8.8")}))
    assert not FetchTool().is_public(ipaddress.ip_address("8.8.8.8"))
    assert FetchTool().is_public(ipaddress.ip_address("8.8.4.4"))


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("ftp://page.test/", "cannot be fetched"),
        ("file:///etc/passwd", "cannot be fetched"),
        ("https:///path.test", "cannot be resolved"),  # as curl and browsers have it
        ("https://", "cannot be fetched"),
        ("http://me:secret@page.test/", "user name or password"),
        ("http://page.test:99999/", "no address of a page"),
        ("http://[::1/", "no address of a page"),
        ("http://unknown.test/", "cannot be resolved"),
        ("http://pa ge.test/", "no name of a host"),
        ("http://page.test\\@evil.test/", "page.test could not be read"),  # what follows is a path
        ("http://page.test\\.evil.test/", "page.test could not be read"),
        ("http://" + "a" * 5000, "cannot be fetched"),
        ("http://page.test/\r\nHost: evil", "could not be read"),
    ],
)
async def test_addresses_that_are_none(call: Call, url: str, said: str) -> None:
    result = await call(tool(), {"url": url})
    assert not result.succeeded
    assert said in (result.error or "")
    assert "secret" not in (result.error or "")
    assert (result.error or "").endswith(".")


async def test_nobody_there(call: Call) -> None:
    with serving(lambda _: Answer()) as gone:
        port = gone.port
    result = await call(tool(), {"url": f"http://page.test:{port}/"})
    assert result.error == "page.test could not be read (nothing listens there)."


async def test_certificates_are_checked_against_the_name(call: Call, tmp_path: Any) -> None:
    import ssl
    import subprocess

    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=page.test",
               "-keyout", str(key), "-out", str(certificate)]  # fmt: skip
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not there to make a certificate with")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    named: list[str | None] = []
    context.sni_callback = lambda _, name, __: named.append(name)
    with serving(lambda _: Answer(200, HTML, (b"x",)), tls=context) as secure:
        result = await call(tool(), {"url": f"https://page.test:{secure.port}/"})
    assert "its certificate cannot be trusted" in (result.error or "")
    assert named == ["page.test"]
    assert secure.requests == []


async def test_hosts_of_the_configuration(call: Call, server: Server, pages: Pages) -> None:
    pages["/"] = Answer(200, {"Content-Type": "text/plain"}, (b"yes",))
    public = [["127.0.0.1"]]
    names = Names(docs_page_test=public, page_test=public, evilpage_test=public)
    only = tool(names, allowed_hosts=("page.test",), blocked_hosts=("bad.page.test",))
    for host, allowed in {"page.test": True, "docs.page.test": True, "DOCS.page.test.": True, "evilpage.test": False,
                          "bad.page.test": False}.items():  # fmt: skip
        result = await call(only, {"url": f"http://{host}:{server.port}/"})
        assert result.succeeded is allowed, result.error


@pytest.mark.parametrize(
    ("policy", "allowed"),
    [
        (NetworkPolicy(network=Network.ON), True),
        (NetworkPolicy(network=Network.OFF), False),
        (NetworkPolicy(network=Network.ALLOW_LIST, hosts=("other.test",)), False),
    ],
)
async def test_the_setting_network_holds_here_too(
    call: Call, server: Server, pages: Pages, policy: NetworkPolicy, allowed: bool
) -> None:
    pages["/"] = Answer(200, {"Content-Type": "text/plain"}, (b"yes",))
    names = Names(page_test=[["127.0.0.1"]])
    result = await call(tool(names), {"url": f"http://page.test:{server.port}/"}, may_reach=policy.check_host)
    assert result.succeeded is allowed
    if not allowed:
        assert "The settings of this worker forbid it" in str(result.error)
        assert names.asked == [], "nobody outside learns of the name"


async def test_proxies_of_the_environment_are_not_used(
    call: Call, server: Server, pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setitem(os.environ, name, "http://127.0.0.1:1")
    pages["/"] = Answer(200, {"Content-Type": "text/plain"}, (b"direct",))
    result = await call(tool(), {"url": f"http://page.test:{server.port}/"})
    assert result.output.endswith("direct")


async def test_secrets_on_a_page_are_masked(call: Call, server: Server, pages: Pages) -> None:
    pages["/"] = Answer(200, {"Content-Type": "text/plain"}, (b"it is s3cret",))
    result = await call(
        tool(), {"url": f"http://page.test:{server.port}/"}, mask=lambda text: text.replace("s3cret", "***")
    )
    assert result.output.endswith("it is ***")


async def test_the_work_of_a_hostile_page_is_done_in_another_process(call: Call, server: Server, pages: Pages) -> None:
    pages["/"] = Answer(200, HTML, (b"<p><a href=x>" * 150_000,))
    before = os.times()
    result = await call(tool(), {"url": f"http://page.test:{server.port}/"})
    after = os.times()
    assert result.succeeded, result.error
    here = after.user + after.system - before.user - before.system
    there = after.children_user + after.children_system - before.children_user - before.children_system
    assert here < there / 3


async def test_a_page_that_grows_beyond_all_is_cut(call: Call, server: Server, pages: Pages) -> None:
    base = "b" * 400 + "/"  # each link is that much longer than what stands in the page
    pages[f"/{base}"] = Answer(200, HTML, (b"<a href=x>y</a>" * 130_000,))
    result = await call(tool(), {"url": f"http://page.test:{server.port}/{base}"})
    assert result.succeeded, result.error
    assert "takes too long to read, or is too long" in result.output
    assert result.output_bytes < LONGEST_TEXT + 20_000


class Held:
    """Names that nobody answers until the test is over."""

    def __init__(self) -> None:
        self.over = threading.Event()
        self.asked = threading.Semaphore(0)

    def __call__(self, host: str, port: int) -> list[str]:
        self.asked.release()
        self.over.wait(60)
        raise OSError("no answer")


async def test_silent_name_servers_delay_no_other_execution(call: Call, server: Server, pages: Pages) -> None:
    """Twelve pages whose names nobody answers, and beside them another execution that reads one."""
    pages["/"] = Answer(200, HTML, (b"<p>here</p>",))
    held = Held()
    hostile = [
        asyncio.create_task(call(tool(resolve=held), {"url": f"http://silent{number}.test/"}, execution_id="hostile"))
        for number in range(12)
    ]
    try:
        while not held.asked.acquire(blocking=False):
            await asyncio.sleep(0)
        for _ in range(3):
            found = await call(tool(), {"url": f"http://page.test:{server.port}/"}, execution_id="other")
            assert found.output.endswith("here"), found.error
            assert not any(task.done() for task in hostile)
    finally:
        held.over.set()
    for result in await asyncio.gather(*hostile):
        assert "cannot be resolved" in (result.error or "")


def test_settings() -> None:
    configuration = {"timeout": 500, "max_bytes": 1000, "allowed_hosts": ["*.Example.org"], "blocked_hosts": "a.b, c"}
    found = offer([SkillDefinition.from_wire({"type": "web_fetch", "configuration": configuration})])
    assert found.tools["web_fetch"] == FetchTool(
        timeout=timedelta(seconds=120), largest_bytes=1000, allowed_hosts=("example.org",), blocked_hosts=("a.b", "c")
    )


async def test_the_policy_is_asked_about_every_redirect(call: Call, server: Server, pages: Pages) -> None:
    port = server.port
    pages["/"] = Answer(302, {"Location": f"http://other.test:{port}/there"})
    pages["/there"] = Answer(302, {"Location": f"//%ef%bd%85vil.test:{port}\\secret"})
    pages["/secret"] = Answer(200, HTML, (b"<p>secret</p>",))
    names = Names(page_test=[["127.0.0.1"]], other_test=[["127.0.0.1"]], evil_test=[["127.0.0.1"]])
    asked: list[str] = []

    async def judge(touched: Callable[[Reader], Iterable[Subject]]) -> str:
        hosts = [one.text for one in touched(Reader(Path("/nowhere")))]
        asked.extend(hosts)
        return "A rule denies it." if "evil.test" in hosts else ""

    result = await call(tool(names), {"url": f"http://page.test:{port}/"}, may_touch=judge)
    assert asked == ["other.test", "evil.test"], result
    assert "evil.test" not in names.asked
    assert "A rule denies it." in (result.error or "")
    allowed = await call(tool(names), {"url": f"http://page.test:{port}/"})
    assert "secret" in allowed.output


@pytest.mark.parametrize(
    "url",
    [
        "http://\uff50age.test",
        "http://page\u3002test",
        "http://pa\u00adge.test",
        "http://pa\tge.test",
        "http:\\\\PAGE.test.",
    ],
)
async def test_a_host_is_what_the_policy_takes_it_for(call: Call, server: Server, pages: Pages, url: str) -> None:
    pages["/"] = Answer(200, HTML, (b"<p>here</p>",))
    names = Names(page_test=[["127.0.0.1"]])
    fetch = tool(names)
    arguments = {"url": f"{url}:{server.port}/"}
    assert [one.text for one in fetch.subjects(arguments, Reader(Path("/nowhere")))] == ["page.test"]
    assert "here" in (await call(fetch, arguments)).output
    assert names.asked == ["page.test"]
