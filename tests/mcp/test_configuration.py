from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.mcp.configuration import MOST_SERVERS, read_servers

VARIABLES = {"TOKEN": "tok-123456", "PLACE": "here", "NESTED": "{{TOKEN}}"}


def read(raw: Any, **options: Any) -> Any:
    return read_servers({"one": raw}, variables=VARIABLES, is_secret=lambda name, _: name == "TOKEN", **options)


def test_templates_are_filled_once_and_secrets_are_told() -> None:
    found = read(
        {
            "command": "npx",
            "args": ["-y", "{{ PLACE }}"],
            "env": {"A": "x {{TOKEN}}", "B": "{{NESTED}}", "C": 7, "D": True},
        }
    ).usable["one"]
    assert found.transport == "stdio"
    assert found.command == ("npx", "-y", "here")
    assert found.environment == {"A": "x tok-123456", "B": "{{TOKEN}}", "C": "7", "D": "true"}
    assert "tok-123456" in found.secrets
    assert "tok-123456" not in repr(found)
    assert found.identity != read({"command": "npx"}).usable["one"].identity


@pytest.mark.parametrize(
    ("raw", "transport"),
    [
        ({"type": "http", "url": "https://x.example/mcp"}, "http"),
        ({"transport_type": "streamable-http", "url": "http://x:8080"}, "http"),
        ({"type": "SSE", "url": "https://x.example/sse"}, "sse"),
        ({"url": "https://x.example"}, "http"),
        ({"command": "uvx some-server --flag"}, "stdio"),
    ],
)
def test_transports(raw: dict[str, Any], transport: str) -> None:
    found = read(raw).usable["one"]
    assert found.transport == transport
    if transport == "stdio":
        assert found.command == ("uvx", "some-server", "--flag")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (None, None),
        ("text", "not an object"),
        ({}, "neither a command nor a url"),
        ({"type": "carrier-pigeon"}, "not known"),
        ({"command": " "}, "no command"),
        ({"command": "x", "args": "-y"}, "args are not a list"),
        ({"command": "x", "args": [["nested"]]}, "not a text"),
        ({"command": "x", "args": ["{{TOKEN}}"]}, "would show the secret TOKEN"),
        ({"command": "x", "env": {"A": "{{MISSING}}"}}, "needs the variable MISSING"),
        ({"command": "x", "env": ["A=1"]}, "env is not an object"),
        ({"command": "x", "env": {"A": "the-workers-own-key"}}, "a key of the worker's own"),
        ({"type": "http", "url": "file:///etc/passwd"}, "not an http"),
        ({"type": "http", "url": "https://"}, "not an http"),
        ({"type": "http", "url": "https://x", "headers": {"A": "b\r\nEvil: yes"}}, "HTTP does not allow"),
        ({"command": "x\0y"}, "NUL"),
    ],
)
def test_what_cannot_be_used_is_left_out_with_a_sentence(raw: Any, words: str | None) -> None:
    found = read(raw, withheld=frozenset({"the-workers-own-key"}))
    assert found.usable == {}
    if words is None:
        assert found.left_out == {}
    else:
        assert words in found.left_out["one"]
        assert found.left_out["one"].endswith(".")
        assert "tok-123456" not in found.left_out["one"]


def test_later_ones_win_switched_off_ones_do_not_count_and_there_is_an_end() -> None:
    many = {f"s{number}": {"command": "x"} for number in range(MOST_SERVERS + 2)}
    found = read_servers(many, {"s0": {"command": "y"}, "s1": {"command": "z", "enabled": False}}, variables={})
    assert found.usable["s0"].command == ("y",)
    assert "s1" not in found.usable
    assert len(found.left_out) == 2


@pytest.mark.parametrize(
    ("said", "limit"), [(5, 5.0), (0, None), (-1, None), (float("inf"), None), (1e9, 7200.0), ("5", None)]
)
def test_limits(said: object, limit: float | None) -> None:
    found = read({"command": "x", "timeout": said}).usable["one"].call_timeout
    assert found == (None if limit is None else timedelta(seconds=limit))


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["command", "args", "env", "url", "headers", "type", "transport_type", "timeout", "enabled", "x"]
)


@given(st.dictionaries(fields, anything, max_size=6))
def test_nothing_that_a_server_may_send_is_too_strange(raw: dict[str, Any]) -> None:
    found = read(raw)
    assert len(found.usable) + len(found.left_out) <= 1
    for config in found.usable.values():
        assert config.command or config.url
        assert config.where
        assert len(config.identity) == 64
