"""Programs that know no proxy: real ones, in a real sandbox, with real servers of TLS, HTTP and something else."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from tests.sandbox.egress.conftest import Tool, names
from tests.support.processes import eventually
from tests.support.tls import Authority
from tests.support.walls import missing_bubblewrap
from worker_core.network.reachable import Address, Network, NetworkPolicy
from worker_core.sandbox import gate
from worker_core.sandbox.egress import named
from worker_core.sandbox.gatekeeper import Gatekeeper

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or bool(missing_bubblewrap()), reason=missing_bubblewrap() or "namespaces are Linux's"
)

PLAIN = "unset http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NODE_USE_ENV_PROXY; "
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PAGES = {"/code/info/refs": f"{COMMIT}\trefs/heads/main\n", "/code/HEAD": "ref: refs/heads/main\n"}

NODE = "fetch('https://web.named.example/node').then(r => r.text()).then(console.log, e => console.log(e.cause))"
URLLIB = """
import urllib.request as r
print(r.build_opener(r.ProxyHandler({})).open('https://web.named.example/urllib').read().decode())
"""
RAW_TLS = """
import socket, ssl
with ssl.create_default_context().wrap_socket(
        socket.create_connection(('web.named.example', 443)), server_hostname='web.named.example') as one:
    one.sendall(b'GET /raw HTTP/1.1\\r\\n\\r\\n')
    print(one.makefile().read())
"""
PROGRAMS = {
    "node": ("node", f'node -e "{NODE}"', "/node at 443"),
    "urllib": (sys.executable, f'{sys.executable} -c "{URLLIB}"', "/urllib at 443"),
    "a raw socket with TLS": (sys.executable, f'{sys.executable} -c "{RAW_TLS}"', "/raw at 443"),
    "curl": ("curl", "curl -sS --noproxy '*' https://web.named.example/curl", "/curl at 443"),
    "curl without TLS": ("curl", "curl -sS --noproxy '*' http://WEB.named.example/x?y=1", "/x?y=1 at 80"),
    "a shell": (
        "bash",
        r"exec 3<>/dev/tcp/web.named.example/80; printf 'GET /shell HTTP/1.1\r\nHost: web.named.example\r\n\r\n' >&3; "
        "cat <&3",
        "/shell at 80",
    ),
    "git": ("git", "git ls-remote https://web.named.example/code", COMMIT),
}


class Internet:
    """Servers behind ports that only root may serve: the proxy is led to where they are."""

    def __init__(self) -> None:
        self.ports: dict[int, int] = {}
        self.heads: list[str] = []
        self.answering = 0

    async def connect(self, address: Address, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(str(address), self.ports.get(port, port))

    def web(self, port: int) -> Callable[..., object]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.answering += 1
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.heads.append(head)
            path = head.split()[1]
            body = PAGES.get(path.partition("?")[0], f"{path} at {port}")
            writer.write(f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await self._end(writer)

        return answer

    async def database(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """It speaks first, as MySQL does."""
        self.answering += 1
        writer.write(b"ready\n")
        writer.write(await reader.readline())
        await self._end(writer)

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await writer.drain()
            writer.close()
            await writer.wait_closed()
        writer.transport.abort()
        self.answering -= 1


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), name="named.example")


@pytest.fixture
async def internet(authority: Authority) -> AsyncIterator[Internet]:
    made = Internet()
    listening = [
        await asyncio.start_server(made.web(443), "127.0.0.1", 0, ssl=authority.context),
        await asyncio.start_server(made.web(80), "127.0.0.1", 0),
        await asyncio.start_server(made.database, "127.0.0.1", 0),
    ]
    for port, server in zip((443, 80, 5432), listening, strict=True):
        made.ports[port] = server.sockets[0].getsockname()[1]
    yield made
    for server in listening:
        server.close()
        await server.wait_closed()
    await eventually(lambda: not made.answering)


@pytest.fixture
def trusted(authority: Authority, tmp_path: Path) -> str:
    """For a script: what makes each program believe the authority, and leave the proxy alone."""
    copy = shutil.copy(authority.file, tmp_path / "authority.pem")
    variables = ("SSL_CERT_FILE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "NODE_EXTRA_CA_CERTS")
    return PLAIN + "".join(f"export {name}={copy}; " for name in variables)


@pytest.mark.parametrize("which", PROGRAMS)
async def test_a_program_that_knows_no_proxy(tool: Tool, internet: Internet, trusted: str, which: str) -> None:
    program, script, expected = PROGRAMS[which]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    assert expected in await tool(f"{trusted}{script}", connect=internet.connect)


WHERE = """
import ipaddress, socket, sys
for name in sys.argv[1:]:
    told = socket.getaddrinfo(name, 443, family=socket.AF_INET, flags=socket.AI_ADDRCONFIG)
    found = ipaddress.ip_address(told[0][4][0])
    print(found, found.is_global and not found.is_multicast)
"""


async def test_a_name_leads_to_what_programs_take_for_a_public_address(
    tool: Tool, internet: Internet, tmp_path: Path
) -> None:
    """A fetcher that refuses private addresses looks them up itself, also where it then asks the proxy."""
    (tmp_path / "where.py").write_text(WHERE)
    script = f"""{sys.executable} where.py one.example two.named.example
    unset http_proxy; curl -sS http://two.named.example/direct"""
    one, two, direct = (await tool(script, connect=internet.connect)).splitlines()
    assert one.endswith(" True")
    assert two.endswith(" True")
    assert one != two
    assert direct == "/direct at 80"


async def test_the_proxy_is_asked_for_an_address_that_a_name_led_to(
    tool: Tool, internet: Internet, trusted: str, tmp_path: Path
) -> None:
    (tmp_path / "where.py").write_text(WHERE)
    script = f"""
    set -- $({sys.executable} where.py web.named.example)
    curl -sS http://$1/plain; echo
    {trusted.replace(PLAIN, "")} curl -sS --resolve web.named.example:443:$1 https://web.named.example/tls; echo
    {trusted.replace(PLAIN, "")} curl -sSk https://$1/tunnel; echo
    curl -sS http://{named.GIVEN[77]}/x"""
    plain, tls, tunnel, nobody = (await tool(script, connect=internet.connect)).splitlines()
    assert (plain, tls, tunnel) == ("/plain at 80", "/tls at 443", "/tunnel at 443")
    assert nobody == f"{named.GIVEN[77]} stands for no name that this call has asked for."


async def test_an_address_that_was_asked_for_is_held_against_the_hosts_that_are_allowed(
    tool: Tool, internet: Internet, tmp_path: Path
) -> None:
    (tmp_path / "where.py").write_text(WHERE)
    script = f"set -- $({sys.executable} where.py bad.example); curl -sS http://$1/"
    said = await tool(script, connect=internet.connect, hosts=("web.named.example",))
    assert said.startswith("bad.example:80 is not among the hosts")
    assert internet.heads == []


async def test_where_the_interface_takes_no_address_names_are_within_loopback(
    tool: Tool, internet: Internet, trusted: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named, "_SET_ADDRESS", 0)
    (tmp_path / "where.py").write_text(WHERE.replace(", flags=socket.AI_ADDRCONFIG", ""))
    script = f"{sys.executable} where.py one.example; {trusted} curl -sS https://web.named.example/x"
    where, said = (await tool(script, connect=internet.connect)).splitlines()
    assert where == f"{named.WITHIN_LOOPBACK[2]} False"
    assert said == "/x at 443"


async def test_without_perl(
    tool: Tool,
    internet: Internet,
    trusted: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "_PERL", "/no/perl")
    assert await tool(f"{trusted}curl -sS https://web.named.example/x", connect=internet.connect) == "/x at 443"


async def test_a_port_of_the_settings(tool: Tool, internet: Internet) -> None:
    """Whatever is spoken there; and a tool may still serve that port itself."""
    script = f"""{PLAIN}
    {sys.executable} -m http.server --bind 127.0.0.1 5432 >/dev/null 2>&1 &
    until (exec 3<>/dev/tcp/127.0.0.1/5432) 2>/dev/null; do :; done
    exec 3<>/dev/tcp/db.example/5432; echo hello >&3; cat <&3
    exec 3<>/dev/tcp/127.0.0.1/5432; printf 'GET / HTTP/1.0\\r\\n\\r\\n' >&3; head -1 <&3 | cut -c1-12
    kill %1"""
    for options in ({"ports": (5432,)}, {"hosts": ("db.example:5432",)}):
        assert await tool(script, connect=internet.connect, **options) == "ready\nhello\nHTTP/1.0 200\n"
    refused = await tool(
        f"{PLAIN} exec 3<>/dev/tcp/other.example/5432", connect=internet.connect, hosts=("db.example:5432",)
    )
    assert "Connection refused" in refused


async def test_a_host_that_is_not_allowed(tool: Tool, internet: Internet, trusted: str) -> None:
    script = f"""{trusted}
    curl -sS http://bad.named.example/; curl -sS https://bad.named.example/ 2>&1; curl -sS https://web.named.example/"""
    said = await tool(script, connect=internet.connect, hosts=("web.named.example",))
    plain, tls, good = said.splitlines()
    assert plain.startswith("bad.named.example:80 is not among the hosts that the worker's settings allow")
    assert "access denied" in tls
    assert good == "/ at 443"
    assert len(internet.heads) == 1


async def test_addresses_are_looked_at_after_they_are_resolved(tool: Tool, internet: Internet) -> None:
    script = f"{PLAIN} curl -sS http://somewhere.example/; curl -sSk https://two.example/ 2>&1"
    plain, tls = (await tool(script, connect=internet.connect, really=True)).splitlines()
    assert "an address of this machine, a private network or a metadata service" in plain
    assert "access denied" in tls
    assert internet.heads == []


async def test_what_is_no_name_of_a_host(tool: Tool, internet: Internet) -> None:
    """Names that do not exist, addresses, and what nobody has asked for."""
    script = f"""{PLAIN}
    curl -sS http://nowhere.example/ 2>&1
    curl -sS --connect-timeout 5 http://192.0.2.1/ 2>&1
    curl -sS http://22.200.0.1/ 2>&1
    curl -sS http://127.0.0.1/ 2>&1
    exec 3<>/dev/tcp/a.example/80; printf 'GET / HTTP/1.1\\r\\nHost: b.example\\r\\n\\r\\n' >&3; cat <&3"""
    said = (await tool(script, connect=internet.connect)).splitlines()
    assert "Could not resolve host" in said[0]
    assert "192.0.2.1" in said[1]
    assert said[2].startswith("curl: (")
    assert said[3].startswith("curl: (")
    assert said[4].startswith("HTTP/1.1 403")
    assert said[-1] == "The name a.example was asked for, and the request is for 'b.example'."
    assert internet.heads == []


ASK = """
import socket, struct
server = socket.socket(type=socket.SOCK_DGRAM)
server.connect(("127.0.0.1", 53))
server.settimeout(30)
def ask(name, kind=1):
    labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
    server.send(struct.pack(">6H", 7, 256, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, kind, 1))
def answered():
    said = server.recv(600)
    return said[3] & 15, said[7], socket.inet_ntoa(said[-4:])
"""


async def test_an_address_is_never_given_to_another_name(
    tool: Tool,
    internet: Internet,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Who remembers it comes to nobody, rather than to somebody else."""
    monkeypatch.setattr(named, "MOST_NAMES", 2)
    script = """
given = [(ask(f"n{number}.example"), answered()[2])[1] for number in (0, 1, 0, 2, 1)]
print(given[0] == given[2], len(set(given)))
for address in given[1:4]:
    one = socket.create_connection((address, 80))
    try:
        one.sendall(b"GET /old HTTP/1.0\\r\\n\\r\\n")
        print(one.makefile().read().split()[-3:])
    except OSError:
        print("nobody")
"""
    (tmp_path / "ask.py").write_text(ASK + script.replace("\\\\", "\\"))
    said = await tool(f"{sys.executable} ask.py", connect=internet.connect)
    assert said == "True 4\nnobody\nnobody\n['/old', 'at', '80']\n"


async def test_what_else_is_asked(tool: Tool, tmp_path: Path) -> None:
    asked = [("a.example", 28), ("a.example", 65), ("a.example", 16), ("8.8.8.8", 1), ("a b.example", 1)]
    (tmp_path / "ask.py").write_text(ASK + f"for one in {asked}: ask(*one); print(*answered()[:2])")
    assert await tool(f"{sys.executable} ask.py") == "0 0\n0 0\n4 0\n3 0\n5 0\n"


async def test_a_flood_of_questions_waits(
    tool: Tool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(named, "BURST", 5)
    monkeypatch.setattr(named, "QUESTIONS_PER_SECOND", 0.001)
    script = """
for _ in range(50): ask("a.example", 28)
for _ in range(5): answered()
server.settimeout(2)
try: print("more", answered())
except TimeoutError: print("no more")
"""
    (tmp_path / "ask.py").write_text(ASK + script)
    assert await tool(f"{sys.executable} ask.py") == "no more\n"


async def test_loopback_stays_the_sandbox_s_own(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "page").write_text("mine\n")
    script = f"""{PLAIN}
    {sys.executable} -m http.server --bind 127.0.0.1 8765 >/dev/null 2>&1 &
    until (exec 3<>/dev/tcp/127.0.0.1/8765) 2>/dev/null; do :; done
    curl -sS http://localhost:8765/page; curl -sS http://sub.localhost:8765/page; curl -sS http://127.0.0.1:8765/page
    kill %1"""
    assert await tool(script) == "mine\n" * 3


async def test_a_call_without_a_network_has_no_name_server(tool: Tool) -> None:
    script = f"{PLAIN} curl -sS http://somewhere.example/ 2>&1; cat /proc/net/udp | wc -l"
    failed, sockets = (await tool(script, network=Network.OFF)).splitlines()
    assert "Could not resolve host" in failed
    assert sockets == "1", "the heading"


@pytest.mark.parametrize("perl", ["/usr/bin/perl", "/no/perl"])
async def test_where_it_cannot_be_had_the_proxy_stays(
    tool: Tool,
    internet: Internet,
    perl: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gate, "_PERL", perl)
    monkeypatch.setattr(named, "_is_of_a_call", lambda _: False)
    script = f"curl -sS http://web.example/x; {PLAIN} curl -sS http://web.example/x 2>&1"
    through, around = (await tool(script, connect=internet.connect)).split("curl:")
    assert through == "/x at 80"
    assert "Could not resolve host" in around


async def test_sockets_of_the_machine_are_not_bound() -> None:
    """A listener there would lead everybody out who comes to this machine."""
    gatekeeper = Gatekeeper(NetworkPolicy(), resolve=names)
    before = psutil.net_if_addrs()
    handed = [socket.socket(type=socket.SOCK_DGRAM), socket.socket(), socket.socket()]
    with pytest.raises(OSError, match=r"not the sockets of a call|not permitted"):
        named.NamedWay(handed, ports=named.Ports.of((80, 443)), gatekeeper=gatekeeper, asker="")
    assert all(one.fileno() == -1 for one in handed)
    assert psutil.net_if_addrs() == before
