"""Answers read out of a connection's bytes, held against h11, and what of them is refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import h11
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.support.imports import loaded_by
from worker_core.network.answers import LONGEST_HEAD_BYTES, HttpReader
from worker_core.network.faults import RemoteProtocolError

Read = tuple[int, str, dict[str, str], bytes, bool]
"""Status, reason, headers but those that say how the body comes, the body, and whether another call may follow."""

FRAMING = ("content-length", "transfer-encoding")
"""Headers that h11 gives as it understood them."""


def read(pieces: Sequence[bytes], *, method: str = "GET") -> Read:
    """Of bytes that come in such pieces, and then end, which is said only to who asks for more.

    Raises:
        RemoteProtocolError: as of `HttpReader`.
    """
    answers, left = HttpReader(), [*pieces, b""]
    answers.expect(method)
    while (head := answers.head()) is None:
        answers.take(left.pop(0))
    body = b""
    while (piece := answers.piece()) is not None or not answers.is_over:
        if piece is None:
            answers.take(left.pop(0))
        else:
            assert piece, "nothing is no piece"
            body += piece
    headers = {name: value for name, value in head.headers.items() if name not in FRAMING}
    return head.status, head.reason, headers, body, answers.another_may_follow


def read_by_h11(pieces: Sequence[bytes], *, method: str = "GET") -> Read:
    """The same.

    Raises:
        h11.RemoteProtocolError: what it refuses.
    """
    connection, left = h11.Connection(h11.CLIENT, max_incomplete_event_size=LONGEST_HEAD_BYTES), [*pieces, b""]
    target = "host:1" if method == "CONNECT" else "/"
    connection.send(h11.Request(method=method, target=target, headers=[("Host", "host")]))
    connection.send(h11.EndOfMessage())
    head, body = None, b""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(left.pop(0))
        elif isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif event is h11.PAUSED or isinstance(event, h11.EndOfMessage):
            break
    assert head is not None
    headers: dict[str, str] = {}
    for raw_name, raw_value in head.headers:
        name, value = raw_name.decode(), raw_value.decode("utf-8", "replace")
        if name not in FRAMING:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    keeps = {connection.our_state, connection.their_state} == {h11.DONE} and connection.trailing_data == (b"", False)
    return head.status_code, head.reason.decode("latin-1"), headers, body, keeps


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """At these places, of which some may be beyond the end."""
    borders = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[one:other] for one, other in pairwise(borders) if one != other]


PLACES = st.lists(st.integers(1, 400), max_size=8) | st.just(range(1, 400))
METHODS = st.sampled_from(["GET", "POST", "HEAD"])
NAMES = st.sampled_from(["Date", "date", "X-Some.thing", "Set-Cookie", "Server", "Connection", "Retry-After"])
VALUES = st.sampled_from(["", "a", "a  b", "\tü ", "close", "keep-alive", "Close, x", '"a, b"', "120"])
STATUSES = st.sampled_from(["200 OK", "200", "201 ", "404 Not  F\xfcnd", "204 No Content", "304 N", "500 x", "999 y"])
BEFORE = st.sampled_from(["", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 2])
BEYOND = st.sampled_from([b"", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
BLANKS = st.sampled_from(["", " ", " \t"])
SIZES = st.sampled_from(["%x", "%X", "00%x", "%x ", "%x;a=b", '%x; a="b;c"'])


@st.composite
def bodies(draw: st.DrawFn) -> tuple[list[str], bytes]:
    """With the headers that say where it ends."""
    parts = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=4))
    whole = b"".join(parts)
    manner = draw(st.sampled_from(["length", "twice", "chunks", "end"]))
    if manner == "end":
        return [], whole
    if manner == "chunks":
        chunks = b"".join(b"%b\r\n%b\r\n" % ((draw(SIZES) % len(part)).encode(), part) for part in parts)
        trailers = draw(st.sampled_from([b"", b"X: y\r\n", b"Content-Length: 3\r\nA: b\r\n"]))
        return [draw(st.sampled_from(["Transfer-Encoding: chunked", "transfer-encoding:Chunked"]))], (
            chunks + draw(st.sampled_from([b"0\r\n", b"000\r\n", b"0;x\r\n"])) + trailers + b"\r\n"
        )
    length = f"{len(whole)}, {len(whole)}" if manner == "twice" else str(len(whole))
    return [f"Content-Length: {length}"], whole


@st.composite
def answers(draw: st.DrawFn) -> bytes:
    framing, body = draw(bodies())
    lines = framing + draw(st.lists(st.builds("{}:{}{}".format, NAMES, BLANKS, VALUES), max_size=4))
    status = draw(
        st.sampled_from(["200 OK", "200", "201 ", "404 Not  F\xfcnd", "204 No Content", "304 N", "500 x", "999 y"])
    )
    version = draw(st.sampled_from(["1.1", "1.1", "1.1", "1.0"]))
    end = draw(st.sampled_from(["\r\n", "\r\n", "\n"]))
    before = draw(
        st.sampled_from(["", "", "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 2])
    )
    head = end.join([f"HTTP/{version} {status}", *draw(st.permutations(lines)), "", ""])
    return before.encode() + head.encode("latin-1") + body


@given(
    data=answers(), more=st.sampled_from([b"", b"", b"\r\n", b"HTTP/1.1 200 OK\r\n\r\n"]), places=PLACES, method=METHODS
)
def test_an_answer_is_read_as_h11_reads_it(data: bytes, more: bytes, places: Sequence[int], method: str) -> None:
    expected = read_by_h11([data + more], method=method)
    assert read([data + more], method=method) == expected
    assert read(cut(data, places), method=method) == read_by_h11(cut(data, places), method=method)


BROKEN = st.sampled_from(
    [b"", b"\0", b"\r", b"\n", b" ", b"\t", b":", b"\x0b", b"\x80", b"0", b"9", b"g", b",", b";", b"\r\n\r\n"]
)


@given(data=answers(), at=st.integers(0, 400), instead=BROKEN, taken=st.integers(0, 2), places=PLACES, method=METHODS)
def test_what_is_taken_from_a_broken_answer_is_what_h11_takes(
    data: bytes, at: int, instead: bytes, taken: int, places: Sequence[int], method: str
) -> None:
    assume(at <= len(data))
    broken = data[:at] + instead + data[at + taken :]
    try:
        ours = read(cut(broken, places), method=method)
    except RemoteProtocolError:
        return
    assert ours == read_by_h11(cut(broken, places), method=method)


OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        b"\x15\x03\x01\x00\x02\x02", b"SSH-2.0-OpenSSH_9\r\n", b"\r\n" + OK + b"\r\n", b"<html>\n\n",
        b"HTTP/2.0 200 OK\r\n\r\n", b"HTTP/1.1 099 Low\r\n\r\n", b"HTTP/1.1 20 OK\r\n\r\n", b"HTTP/1.1  200\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        OK + b"No colon\r\n\r\n", OK + b": none\r\n\r\n", OK + b"A : b\r\n\r\n", OK + b" folded: b\r\n\r\n",
        OK + b"A: b\0\r\n\r\n", OK + b"A: b\rC: d\r\n\r\n",
        OK + b"Content-Length: -1\r\n\r\n", OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n12",
        OK + b"Content-Length: 0x1\r\n\r\n", OK + b"Content-Length: " + b"9" * 21 + b"\r\n\r\n",
        OK + "Content-Length: ²\r\n\r\n".encode(), OK + b"Content-Length:\r\n\r\n",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", OK + b"Transfer-Encoding: identity\r\n\r\n",
        CHUNKED + b"\r\n", CHUNKED + b"-1\r\n", CHUNKED + b"0x1\r\n", CHUNKED + b"g\r\n", CHUNKED + b"1" * 21 + b"\r\n",
        CHUNKED + b"1\r\nab\r\n0\r\n\r\n", CHUNKED + b"1\r\na\n\n0\r\n\r\n", CHUNKED + b"0\r\nno trailer\r\n\r\n",
    ],
)  # fmt: skip
@pytest.mark.parametrize("bytes_at_once", [1, 1_000])
def test_what_is_no_answer_is_refused(data: bytes, bytes_at_once: int) -> None:
    with pytest.raises(RemoteProtocolError) as refused:
        read([data[at : at + bytes_at_once] for at in range(0, len(data), bytes_at_once)])
    assert not re.search("closed|disconnected", str(refused.value)), "it was not cut off"


@pytest.mark.parametrize("sign", [b"\x15", b"h", b"HTTP/3", b"HTTP-"])
def test_what_cannot_become_an_answer_is_not_waited_for(sign: bytes) -> None:
    answers = HttpReader()
    answers.expect("GET")
    answers.take(sign)
    with pytest.raises(RemoteProtocolError, match="illegal status line"):
        answers.head()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"HTTP", OK, OK + b"A: b\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", OK + b"Content-Length: 2\r\n\r\n1",
        CHUNKED, CHUNKED + b"2", CHUNKED + b"2\r\n1", CHUNKED + b"2\r\n12", CHUNKED + b"2\r\n12\r", CHUNKED + b"0\r\n",
        CHUNKED + b"0\r\nA: b\r\n",
    ],
)  # fmt: skip
def test_an_answer_that_is_cut_off_is_none(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match=r"disconnected|closed"):
        read([data] if data else [])


@pytest.mark.parametrize("before", [OK, CHUNKED, CHUNKED + b"0\r\n"], ids=["head", "size of a chunk", "trailers"])
@pytest.mark.parametrize("at_once", [1_000, 2 * LONGEST_HEAD_BYTES])
def test_what_goes_on_and_on_without_saying_anything_has_an_end(before: bytes, at_once: int) -> None:
    with pytest.raises(RemoteProtocolError, match="too long"):
        read([before, *[b"1" * at_once] * (2 * LONGEST_HEAD_BYTES // at_once)])


def test_who_could_see_another_end_in_it_gets_no_next_call() -> None:
    """Lengths of both kinds (RFC 9112, 6.3), and the answers of old."""
    both = OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
    of_old = b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na"
    assert [read([data])[3:] for data in (both, of_old)] == [(b"a", False)] * 2


def test_the_answer_to_connect_has_no_body() -> None:
    assert read([OK + b"Content-Length: 3\r\n\r\nabc"], method="CONNECT")[3:] == (b"", False)
    assert read([b"HTTP/1.1 407 No\r\nContent-Length: 3\r\n\r\nabc"], method="CONNECT")[3:] == (b"abc", True)


def test_one_answer_follows_the_other() -> None:
    answers = HttpReader()
    for body in (b"one", b"", b"three"):
        answers.expect("GET")
        answers.take(OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
        assert answers.head() is not None
        assert answers.piece() == (body or None)
        assert answers.piece() is None
        assert answers.another_may_follow


def test_h11_is_not_loaded() -> None:
    assert "h11" not in loaded_by("import worker_core.network.pool, worker_core.control_plane.client")
