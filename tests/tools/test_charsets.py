"""Pages name their charset: those of the web are known, and nothing else that Python calls a codec."""

from __future__ import annotations

import codecs

import pytest

from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.tools.charsets import _CODECS, decoded


@pytest.mark.parametrize(
    ("label", "content", "text"),
    [
        ("utf-8", "grün".encode(), "grün"),
        ("", "grün".encode(), "grün"),
        (" UTF8 ", "grün".encode(), "grün"),
        ("iso-8859-1", b"\x80 gr\xfcn", "€ grün"),  # browsers read Windows' there
        ("windows-1251", "Привет".encode("cp1251"), "Привет"),
        ("koi8-r", "Привет".encode("koi8-r"), "Привет"),
        ("Shift_JIS", "日本".encode("cp932"), "日本"),
        ("euc-jp", "日本".encode("euc-jp"), "日本"),
        ("iso-2022-jp", "日本".encode("iso2022_jp"), "日本"),
        ("gb2312", "中国".encode("gb18030"), "中国"),
        ("big5", "中國".encode("big5"), "中國"),
        ("euc-kr", "한국".encode("cp949"), "한국"),
        ("utf-16", "grün".encode("utf-16-le"), "grün"),
        ("utf-8", codecs.BOM_UTF16_LE + "grün".encode("utf-16-le"), "grün"),
        ("koi8-r", codecs.BOM_UTF8 + "grün".encode(), "grün"),
    ],
)
def test_charsets_of_the_web(label: str, content: bytes, text: str) -> None:
    assert decoded(content, label) == text


@pytest.mark.parametrize(
    "label",
    ["utf-7", "punycode", "idna", "unicode_escape", "raw_unicode_escape", "rot13", "zip", "hex", "mbcs", "undefined",
     "no such thing", "utf-8\0", "x" * 1000],
)  # fmt: skip
def test_what_is_none_counts_as_utf_8(label: str) -> None:
    assert decoded(b"+AGE- \\u0061 \xff", label) == "+AGE- \\u0061 \ufffd"


@pytest.mark.parametrize("codec", sorted(set(_CODECS.values())))
@pytest.mark.parametrize("piece", [b"\xff", b"\x1b$B", b"\x1b(", b"\x81", b"a\xed\xa0", b"\x00\xd8"])
def test_twice_the_bytes_take_twice_the_time(codec: str, piece: bytes) -> None:
    assert (
        twice_the_length_costs(
            lambda content: content.decode(codec, "replace"), lambda length: piece * length, longest=100_000
        )
        < LINEAR
    )
