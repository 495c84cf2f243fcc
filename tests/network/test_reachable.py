from __future__ import annotations

import contextlib
import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.network.reachable import (
    AddressRefused,
    Network,
    NetworkPolicy,
    check_entry,
    is_public,
    normal_host,
    own_addresses,
)

INSIDE = (
    "127.0.0.1", "127.255.0.3", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "100.100.100.200",     "168.63.129.16", "192.0.0.192", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "fd20:ce::254", "fec0::1", "ff02::1",
    "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "::7f00:1",
    "2001:db8::1", "192.0.0.9", "192.88.99.1", "3fff::1", "64:ff9b:1::808:808", "2001:0:4136:e378:8000:63bf:80ff:fffe",
)  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_inside(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "93.184.215.14", "2606:4700::1111", "64:ff9b::101:101", "::ffff:1.1.1.1"]
)
def test_outside(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


def test_this_machines_own_public_address() -> None:
    here = ipaddress.ip_address("1.1.1.1")
    assert not is_public(here, own=[here])
    assert not is_public(ipaddress.ip_address("::ffff:1.1.1.1"), own=[here])
    assert ipaddress.ip_address("127.0.0.1") in own_addresses()


@given(st.ip_addresses(v=4))
def test_no_disguise_changes_it(address: ipaddress.IPv4Address) -> None:
    number = int(address)
    for disguised in (
        0xFFFF00000000 | number,
        int(ipaddress.ip_address("64:ff9b::")) | number,
        0x2002 << 112 | number << 80,
    ):
        assert is_public(ipaddress.IPv6Address(disguised)) == is_public(address)


@pytest.mark.parametrize(
    ("host", "normal"),
    [
        ("Example.COM.", "example.com"),
        ("bücher.example", "xn--bcher-kva.example"),
        ("[::1]", "::1"),
        ("1.2.3.4", "1.2.3.4"),
    ],
)
def test_host_names(host: str, normal: str) -> None:
    assert normal_host(host) == normal


@pytest.mark.parametrize(
    "host", ["", ".", "127.1", "2130706433", "0x7f.0.0.1", "a b", "a\0b", "*.x", "-", "a..b", "x" * 300]
)
def test_no_host_names(host: str) -> None:
    with pytest.raises(AddressRefused):
        normal_host(host)


@given(st.text())
def test_anything_is_a_name_or_refused(host: str) -> None:
    with contextlib.suppress(AddressRefused):
        assert normal_host(host).isascii()


def test_ports_that_lead_somewhere() -> None:
    assert NetworkPolicy().tunnels == (80, 443)
    assert NetworkPolicy(ports=(5432, 443)).tunnels == (80, 443, 5432)
    hosts = ("a.example:8443", "b.example", "c.example:22", "d.example:8443")
    assert NetworkPolicy(network=Network.ALLOW_LIST, hosts=hosts).tunnels == (80, 443, 8443, 22)


def test_the_allow_list() -> None:
    policy = NetworkPolicy(network=Network.ALLOW_LIST, hosts=("example.com", "*.pypi.org", "api.example.com:8443"))
    for host, port in (("example.com", 443), ("example.com", 80), ("files.pypi.org", 443), ("api.example.com", 8443)):
        policy.check_host(host, port)
    for host, port in (
        ("example.com", 22), ("www.example.com", 443), ("pypi.org", 443), ("evilpypi.org", 443),
        ("example.com.evil", 443),
        ("api.example.com", 443),
    ):  # fmt: skip
        with pytest.raises(AddressRefused, match="network_allow"):
            policy.check_host(host, port)
    with pytest.raises(AddressRefused, match="no network"):
        NetworkPolicy(network=Network.OFF).check_host("example.com", 443)
    NetworkPolicy().check_host("anything.example", 8080)


@pytest.mark.parametrize("entry", ["*.Example.com ", "example.com:8443", "localhost"])
def test_entries(entry: str) -> None:
    assert check_entry(entry) == entry.strip().lower()


@pytest.mark.parametrize("entry", ["", "https://x.org", "x.org/path", "*", "a.*.b", "x:0", "x:99999", "x:http", "a b"])
def test_no_entries(entry: str) -> None:
    with pytest.raises(ValueError, match="is no host"):
        check_entry(entry)
