"""The filter, run by a small machine of our own for both architectures; the escape suite runs it in the kernel."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.sandbox import seccomp
from worker_core.sandbox.seccomp import ALLOW, ANSWERED, EPERM, UNSUPPORTED, BesideOthers, Sockets

MACHINES = {"x86_64": (0xC000003E, 0), "aarch64": (0xC00000B7, 1)}
BOTH = pytest.mark.parametrize("machine", list(MACHINES))


def verdict(
    machine: str, number: int, *arguments: int, audit: int | None = None, beside_others: BesideOthers | None = None
) -> int:
    code = seccomp.program(machine, beside_others=beside_others)
    steps = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    padded = [*arguments, *[0] * (6 - len(arguments))]
    data = struct.pack("=IIQ6Q", number, MACHINES[machine][0] if audit is None else audit, 0, *padded)
    at, accumulator = 0, 0
    while True:
        what, then, otherwise, value = steps[at]
        at += 1
        match what:
            case 0x20:
                (accumulator,) = struct.unpack_from("=I", data, value)
            case 0x15:
                at += then if accumulator == value else otherwise
            case 0x35:
                at += then if accumulator >= value else otherwise
            case 0x45:
                at += then if accumulator & value else otherwise
            case 0x54:
                accumulator &= value
            case 0x06:
                return value
            case _:
                raise AssertionError(what)


@BOTH
@pytest.mark.parametrize("name", sorted(seccomp.REFUSED))
def test_refused(machine: str, name: str) -> None:
    assert verdict(machine, seccomp.REFUSED[name][MACHINES[machine][1]]) == seccomp.EPERM


@BOTH
@given(number=st.integers(0, 600), first=st.integers(0, 2**32 - 1), second=st.integers(0, 2**32 - 1))
def test_the_rest_is_allowed(machine: str, number: int, first: int, second: int) -> None:
    column = MACHINES[machine][1]
    special = {pair[column] for pair in (*seccomp.REFUSED.values(), *seccomp._SPECIAL.values())}
    special |= set(seccomp.ONLY_X86.values()) if machine == "x86_64" else set()
    if number not in special:
        assert verdict(machine, number, first, second) == seccomp.ALLOW


@BOTH
def test_by_argument(machine: str) -> None:
    clone, clone3, unshare, ioctl, socket = (
        pair[MACHINES[machine][1]]
        for pair in map(seccomp._SPECIAL.get, ("clone", "clone3", "unshare", "ioctl", "socket"))
    )  # type: ignore[union-attr]
    assert verdict(machine, clone, 0x3D0F00) == seccomp.ALLOW  # a thread
    assert verdict(machine, clone, 17) == seccomp.ALLOW  # fork
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert verdict(machine, clone, flag | 17) == seccomp.EPERM
        assert verdict(machine, unshare, flag) == seccomp.EPERM
    assert verdict(machine, unshare, 0x80) == seccomp.EPERM
    assert verdict(machine, unshare, 0x400) == seccomp.ALLOW
    assert verdict(machine, clone3) == seccomp.ENOSYS
    assert verdict(machine, ioctl, 1, 0x5412) == seccomp.EPERM
    assert verdict(machine, ioctl, 1, 0x5412 | 1 << 32) == seccomp.EPERM  # the kernel looks at the lower half only
    assert verdict(machine, ioctl, 0x5412, 0x5401) == seccomp.ALLOW
    assert [family for family in range(64) if verdict(machine, socket, family) == seccomp.ALLOW] == [1, 2, 10, 16]


@BOTH
def test_sizes_of_socket_buffers_are_the_kernels(machine: str) -> None:
    pair = seccomp._SPECIAL["setsockopt"]
    number = pair[MACHINES[machine][1]]
    assert [name for name in range(64) if verdict(machine, number, 3, 1, name) == seccomp.IGNORED] == [7, 8]
    assert {verdict(machine, number, 3, 1, name) for name in range(64)} == {seccomp.IGNORED, seccomp.ALLOW}
    assert {verdict(machine, number, 3, 6, name) for name in range(64)} == {seccomp.ALLOW}, "TCP's own"


def test_other_architectures_and_x32() -> None:
    assert verdict("x86_64", 1, audit=0x40000003) == seccomp.KILL
    assert verdict("x86_64", seccomp.X32_BIT | 1) == seccomp.EPERM
    assert seccomp.program("riscv64") == b""


# --- without namespaces -----------------------------------------------------------------------------------

CLOEXEC, NONBLOCK = 0x80000, 0x800
UNIX, INET, INET6, NETLINK, VSOCK = 1, 2, 10, 16, 40
STREAM, DATAGRAM, RAW, SEQUENCED = 1, 2, 3, 5
FAST_OPEN = 0x20000000


def beside(machine: str, sockets: Sockets, name: str, *arguments: int, truncates: bool = True) -> int:
    tables = (seccomp.REFUSED_BESIDE_OTHERS, seccomp.UNSUPPORTED_BESIDE_OTHERS, seccomp._SPECIAL,
              seccomp._SPECIAL_BESIDE_OTHERS)  # fmt: skip
    number = next(table[name] for table in tables if name in table)[MACHINES[machine][1]]
    how = BesideOthers(sockets=sockets, truncates=truncates)
    return verdict(machine, number, *arguments, beside_others=how)


@BOTH
@pytest.mark.parametrize("sockets", list(Sockets))
def test_what_is_everybodys_is_refused_beside_others(machine: str, sockets: Sockets) -> None:
    for name in seccomp.REFUSED:
        number = seccomp.REFUSED[name][MACHINES[machine][1]]
        assert verdict(machine, number, beside_others=BesideOthers(sockets=sockets, truncates=True)) == EPERM
    assert {beside(machine, sockets, name) for name in seccomp.REFUSED_BESIDE_OTHERS} == {EPERM}
    assert {beside(machine, sockets, name) for name in seccomp.UNSUPPORTED_BESIDE_OTHERS} == {UNSUPPORTED}
    for name, process in seccomp._OF_ONE_PROCESS:
        assert beside(machine, sockets, name, *[9] * process, 0) == ALLOW
        assert beside(machine, sockets, name, *[0] * process, 9) == EPERM
    assert [beside(machine, sockets, "truncate", truncates=may) for may in (True, False)] == [ALLOW, EPERM]
    for flags in (0, CLOEXEC | NONBLOCK):
        pairs = [kind for kind in range(1, 16) if beside(machine, sockets, "socketpair", UNIX, kind | flags) == ALLOW]
        assert pairs == [STREAM, SEQUENCED]
    assert beside(machine, sockets, "socket", UNIX, STREAM, 0) == EPERM


@BOTH
@pytest.mark.parametrize(
    ("sockets", "connecting", "listening"),
    [(Sockets.NONE, EPERM, EPERM), (Sockets.ANSWERED, ANSWERED, EPERM), (Sockets.ALL, ALLOW, ALLOW)],
)
def test_sockets_beside_others(machine: str, sockets: Sockets, connecting: int, listening: int) -> None:
    def made(family: int, kind: int, protocol: int) -> bool:
        verdicts = {
            beside(machine, sockets, "socket", family, kind | flags, protocol) for flags in (0, CLOEXEC | NONBLOCK)
        }
        assert len(verdicts) == 1
        return verdicts == {ALLOW}

    everything = sockets is Sockets.ALL
    for family in (INET, INET6):
        tcp = [(kind, protocol) for kind in (STREAM, DATAGRAM, RAW, SEQUENCED) for protocol in (0, 6, 17, 132, 262)
               if made(family, kind, protocol)]  # fmt: skip
        if not everything:
            assert tcp == ([(STREAM, 0), (STREAM, 6)] if sockets is Sockets.ANSWERED else [])
    assert [made(NETLINK, RAW, protocol) for protocol in (0, 4, 9)] == [True, everything, everything]
    assert not made(VSOCK, STREAM, 0)
    assert beside(machine, sockets, "connect") == connecting
    assert beside(machine, sockets, "listen") == listening
    for name, flags in (("sendto", 3), ("sendmsg", 2), ("sendmmsg", 3)):
        assert beside(machine, sockets, name, *[FAST_OPEN] * flags, 0x4000) == ALLOW
        assert (beside(machine, sockets, name, *[0] * flags, FAST_OPEN | 1) == ALLOW) is everything
