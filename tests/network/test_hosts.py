"""One reading of what host a URL names."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.network.hosts import host_name, read_url


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Evil.Example/x", "evil.example"),
        ("https://evil.example./x", "evil.example"),
        ("https://evil.example:8443?x", "evil.example"),
        ("https://good.example@evil.example/", "evil.example"),
        ("https://evil.example\\@good.example/", "evil.example"),
        ("https://evil.example#@good.example/", "evil.example"),
        ("https://\uff45\uff56\uff49\uff4c.example/", "evil.example"),
        ("https://evil\u3002example/", "evil.example"),
        ("https://evil\uff0eexample/", "evil.example"),
        ("https://e\u00advil.exa\u200bmple/", "evil.example"),
        ("https://ev\til.exam\nple/", "evil.example"),
        ("https://%65vil%2eexample/", "evil.example"),
        ("https:/evil.example/", "evil.example"),
        ("https:\\\\evil.example\\x", "evil.example"),
        ("evil.example/x", "evil.example"),
        ("evil.example:80", "evil.example"),
        ("https://b\u00fccher.example/", "xn--bcher-kva.example"),
        ("http://2852039166/", "169.254.169.254"),
        ("http://0xA9FEA9FE/", "169.254.169.254"),
        ("http://0251.0376.0251.0376/", "169.254.169.254"),
        ("http://169.254.43518/", "169.254.169.254"),
        ("http://127.1/", "127.0.0.1"),
        ("http://0/", "0.0.0.0"),
        ("http://[::ffff:127.0.0.1]/", "127.0.0.1"),
        ("http://[0:0::1]/", "::1"),
        ("http://1.2.3.4.5/", "1.2.3.4.5"),
        ("http://256.1.1.1/", "256.1.1.1"),
    ],
)
def test_in_every_disguise(url: str, host: str) -> None:
    found = read_url(url)
    assert found is not None
    assert found.host == host


@given(st.ip_addresses(v=4))
def test_every_way_to_write_an_address(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    a, b, c, d = address.packed
    for written in (
        str(number), hex(number), f"0{number:o}", f"{a}.{number & 0xFFFFFF}", f"{a}.{b}.{c << 8 | d}",
        f"::ffff:{address}", ".".join(map(hex, (a, b, c, d))),
    ):  # fmt: skip
        assert host_name(written) == str(address), written


@given(st.text(max_size=80))
def test_no_text_is_too_strange(text: str) -> None:
    found = read_url(text)
    assert found is None or found.target.startswith("/")
    assert host_name(host_name(text)) == host_name(text) or not host_name(text).isascii()


@pytest.mark.parametrize("url", ["http://h:x/", "http://h:99999/", "http://[::1/", "http://[::1]x/"])
def test_what_is_none(url: str) -> None:
    assert read_url(url) is None


def test_the_other_parts() -> None:
    found = read_url(" https://me:pw@h.example:8443/a\\b?c=d#e ")
    assert found is not None
    assert (found.scheme, found.port, found.target, found.has_user) == ("https", 8443, "/a/b?c=d", True)
