from __future__ import annotations

from collections.abc import Iterator

from hypothesis import example, given, settings
from hypothesis import strategies as st

from worker_core.logs.redaction import Redactor
from worker_core.tools import masking
from worker_core.tools.masking import masked, safe_cut

REDACTOR = Redactor()
for _secret in ("s3cr3t-value", "s3cr3t-value-longer-one", "multi\nline-secret\nhere-and-there"):
    REDACTOR.add(_secret)

FRAGMENTS = st.sampled_from(
    ["s3cr3t-value", "s3cr3t-value-longer-one", "s3cr", "multi\nline-secret\nhere-and-there", "line-secret", "\n", " ",
     "x" * 40, "ü€", "authorization: bearer abcdefghijkl", "http://me:pass-word@host/"]
)  # fmt: skip


def in_pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in sizes:
        yield data[at : at + size]
        at += size
    yield data[at:]


@given(st.lists(FRAGMENTS, max_size=90), st.lists(st.integers(0, 200), max_size=30), st.integers(100, 140))
@settings(max_examples=200)
def test_masking_in_pieces_is_masking_as_a_whole(fragments: list[str], sizes: list[int], reach: int) -> None:
    """The reach is made small here, so that every kind of cut happens; it stays longer than any one secret."""
    text = "".join(fragments)
    real, masking.REACH = masking.REACH, reach
    try:
        got = b"".join(masked(in_pieces(text.encode(), sizes), REDACTOR.mask)).decode()
    finally:
        masking.REACH = real
    assert "s3cr3t-value" not in got
    assert "line-secret" not in got
    assert "pass-word" not in got
    assert got == REDACTOR.mask(text)


@given(st.lists(st.binary(max_size=50)))
@example([b"\xff", b"\xc3", b"\xa9\xed\xa0\x80"])
def test_bytes_that_are_no_text_come_through(pieces: list[bytes]) -> None:
    assert b"".join(masked(pieces, lambda text: text)) == b"".join(pieces)


def test_a_cut_moves_out_of_a_secret() -> None:
    text = "before s3cr3t-value after"
    assert safe_cut(text, 12, REDACTOR.mask) <= 7
    assert safe_cut(text, 3, REDACTOR.mask) == 3
    assert safe_cut(text, len(text), REDACTOR.mask) == len(text)


def test_where_no_cut_is_safe_there_is_none() -> None:
    assert safe_cut("x" * 100, 50, lambda text: str(len(text))) == 0
    # A stream is not held for ever all the same.
    assert len(list(masked([b"x" * 65536] * 40, lambda text: f"{len(text)},"))) > 1
