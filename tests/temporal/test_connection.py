from __future__ import annotations

import base64
import json
import socket
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.temporal import free_port
from worker_core.secrets import Secret, expires_at
from worker_core.settings import TlsMode
from worker_core.temporal import connection
from worker_core.temporal.connection import Target, TemporalUnreachable, connect, proxy_for


@pytest.mark.parametrize(
    ("host", "key", "mode", "uses_tls"),
    [
        ("localhost:7233", "", "auto", False),
        ("127.0.0.1:7233", "key", "auto", False),
        ("[::1]:7233", "key", "auto", False),
        ("temporal.example.test:7233", "", "auto", False),
        ("temporal.example.test:7233", "key", "auto", True),
        ("us-east-1.aws.api.temporal.io:7233", "", "auto", True),
        ("acme.lpagu.tmprl.cloud:7233", "", "auto", True),
        ("acme.lpagu.tmprl.cloud:7233", "", "off", False),
        ("localhost:7233", "", "on", True),
    ],
)
def test_tls_where_it_is_needed(host: str, key: str, mode: TlsMode, uses_tls: bool) -> None:
    assert Target(host=host, namespace="n", api_key=Secret(key), tls=mode).uses_tls is uses_tls


async def test_an_unreachable_temporal_is_one_sentence_without_the_key() -> None:
    target = Target(host=f"127.0.0.1:{free_port()}", namespace="n", api_key=Secret("key-canary"))
    with pytest.raises(TemporalUnreachable, match="without TLS") as caught:
        await connect(target, identity="test", mask=str)
    assert target.host in caught.value.sentence
    assert "canary" not in caught.value.sentence
    assert caught.value.sentence.endswith("cannot be reached: Connection refused.")
    assert caught.value.exit_code == 6


@pytest.mark.parametrize("given", ["key-ca\nnary", "key-canäry", "key canary"])
async def test_a_key_of_the_control_plane_that_cannot_be_one_is_not_repeated(given: str) -> None:
    target = Target(host=f"127.0.0.1:{free_port()}", namespace="n", api_key=Secret(given))
    with pytest.raises(TemporalUnreachable, match="What the control plane gave for Temporal is no key") as caught:
        await connect(target, identity="test", mask=str)
    assert "nary" not in caught.value.sentence
    assert Target(host="h:1", namespace="n", api_key=Secret(" key\n")).key() == "key"


async def test_a_server_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "CONNECT_LIMIT", timedelta(seconds=0.2))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = Target(host=f"127.0.0.1:{silent.getsockname()[1]}", namespace="n", api_key=Secret(""))
        with pytest.raises(TemporalUnreachable, match=r"did not answer within 0\.2 s"):
            await connect(target, identity="test", mask=str)


def test_the_proxy_is_taken_from_the_environment_but_never_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://me:pw@proxy.example.test:8080")
    monkeypatch.setenv("no_proxy", "inside.example.test")
    proxy = proxy_for("temporal.example.test:7233")
    assert proxy is not None
    assert proxy.target_host == "proxy.example.test:8080"
    assert proxy.basic_auth == ("me", "pw")
    assert proxy_for("localhost:7233") is None
    assert proxy_for("inside.example.test:7233") is None


@pytest.mark.parametrize(
    ("variable", "value", "address", "credentials"),
    [
        ("https_proxy", "http://me%40co:p%3A%2F@proxy.example.test:8080", "proxy.example.test:8080", ("me@co", "p:/")),
        ("all_proxy", "http://proxy.example.test:8080", "proxy.example.test:8080", None),
        ("https_proxy", "proxy.example.test", "proxy.example.test:80", None),
        ("https_proxy", "http://[2001:db8::1]:8080", "[2001:db8::1]:8080", None),
    ],
)  # fmt: skip
def test_temporal_reads_a_proxy_as_the_other_connections_do(
    variable: str, value: str, address: str, credentials: tuple[str, str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    proxy = proxy_for("temporal.example.test:7233")
    assert proxy is not None
    assert (proxy.target_host, proxy.basic_auth) == (address, credentials)


@pytest.mark.parametrize("value", ["socks5://proxy.example.test:1080", "http://proxy.example.test:port", "http://"])
def test_what_temporal_cannot_use_is_no_proxy(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", value)
    assert proxy_for("temporal.example.test:7233") is None


def token(claims: object) -> str:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none'})}.{part(claims)}.signature"


def test_the_expiry_of_a_key_that_states_one() -> None:
    assert expires_at(Secret(token({"exp": 1_900_000_000}))) == datetime.fromtimestamp(1_900_000_000, UTC)
    assert expires_at(Secret(token({"sub": "x"}))) is None
    assert expires_at(Secret("opaque-key")) is None


@given(st.text(), st.recursive(st.none() | st.floats() | st.text(), st.lists))
def test_no_key_breaks_the_reader(text: str, claim: object) -> None:
    expires_at(Secret(text))
    expires_at(Secret(f"{text}.{text}.{text}"))
    expires_at(Secret(token({"exp": claim})))


def test_metrics_that_ran_over_break_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):  # what pyo3 calls it; it cannot be imported
        pass

    class Overrun:
        def retrieve_updates(self) -> list[object]:
            raise PanicException("You must initialize the reference before using it")

    counters = connection.metrics()
    before = counters.drain()
    monkeypatch.setattr(counters, "_buffer", Overrun())
    monkeypatch.setattr(counters, "broken", False)
    assert (counters.drain(), counters.broken) == (before, True)
    assert counters.drain() == before
