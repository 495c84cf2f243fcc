"""Text of pages, whatever they hold."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import strange_data
from worker_core.tools.html_text import text_of
from worker_core.tools.web import LARGEST_BYTES


@given(st.lists(strange_data.texts | st.sampled_from(
    ["<p>", "</p>", "<a href='x'>", "<a href='http://['>", "</a>", "<script>", "</script>", "<!--", "-->", "<![CDATA[",
     "&#x0;", "&#xd800;", "&#99999999999;", "<title>", "<li", "<head>", "<body>", "text", "<pre>", "</pre>", "<h9>",
     "<img alt=a>", "<![", "<![if x", "<![endif]", "]]>", "]>", "<!", "<!DOCTYPE x [", "<!ELEMENT", "<!ENTITY % a",
     "<?", "?>", "<!doctype", "<a <b", "<a=", "</", "</>", "</ x", "<svg>", "\0",
     "<x" * 5000])).map("".join))  # fmt: skip
def test_whatever_the_html_there_is_a_text(html: str) -> None:
    title, text = text_of(f"<p>before</p>{html}", url="https://example.test/")
    assert isinstance(title, str)
    assert text.startswith("before")


@pytest.mark.parametrize("mark", ["<![", "<![foo[", "<![if !IE]", "<!DOCTYPE html [ <!FOO", "<![%x;["])
def test_what_the_parser_would_raise_for_hides_no_more_than_itself(mark: str) -> None:
    _, text = text_of(f"<p>one</p>{mark}> <p>two</p>", url="https://example.test/")
    assert text == "one\n\ntwo"


@pytest.mark.parametrize(
    "beginning",
    ["<a ", "<!--", "<![CDATA[", "<a href='", "</", "<?", "<!x", "<script>x", "<a b=c ", "&#", "<p><a href=x>"],
)
def test_a_hostile_page_is_read_in_little_time(beginning: str) -> None:
    """Two megabytes of what never ends take the parser of the standard library hours at once."""
    html = (beginning * (LARGEST_BYTES // len(beginning)))[:LARGEST_BYTES]
    before = os.times()
    text_of(f"<p>seen</p>{html}", url="https://example.test/")
    after = os.times()
    assert after.user + after.system - before.user - before.system < 15


def test_a_long_script_does_not_hide_what_follows() -> None:
    script = "<script>" + "var x = '<b>' < 3;" * 20_000 + "</script>"
    _, text = text_of(f"<p>one</p>{script}<p>two {'word ' * 10_000}</p><p>three", url="https://example.test/")
    assert text.startswith("one\n\ntwo word")
    assert text.count("word") == 10_000
    assert text.endswith("three")
    assert "var" not in text
