"""Markdown in pieces, without Qt."""

from __future__ import annotations

import pytest

from desktop.widgets.markdown_text import ADDRESS_SHOWN, segments
from tests.support.imports import loaded_by


def html(markdown: str) -> str:
    return "".join(one.content for one in segments(markdown))


def test_what_has_a_widget_of_its_own_is_a_piece_of_its_own() -> None:
    document = "Words.\n\n> said\n\n---\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n\nMore.\n\n```diff\n+x\n```\n"
    assert [one.kind for one in segments(document)] == ["html", "quote", "rule", "table", "html", "code"]
    assert [document[one.start :][:3] for one in segments(document)] == ["Wor", "> s", "---", "| a", "Mor", "```"]


def test_inside_a_list_they_stay_with_it() -> None:
    assert [one.kind for one in segments("- a\n\n  > said\n\n  ---\n\n- b")] == ["html"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("see https://example.com/a.", "https://example.com/a"),
        ("(https://example.com/a)", "https://example.com/a"),
        ("https://example.com/a_(b)", "https://example.com/a_(b)"),
        ("at http://localhost:8080/x?y=1&z=2, then", "http://localhost:8080/x?y=1&amp;z=2"),
    ],
)
def test_an_address_in_the_text_is_a_link(text: str, address: str) -> None:
    assert f'<a href="{address}">{address}</a>' in html(text)


@pytest.mark.parametrize(
    "text",
    ["`https://example.com`", "file:///etc/passwd", "javascript://x", "xhttps://example.com", "www.example.com"],
)
def test_what_is_no_web_address_is_none(text: str) -> None:
    assert "<a" not in html(text)


def test_a_link_is_not_linked_twice() -> None:
    assert html("[https://example.com](https://example.org)").count("<a") == 1


def test_tasks_are_boxes() -> None:
    said = html("- [x] done\n- [ ] open\n- [y] neither\n- [link](https://example.com)")
    assert '<li class="checked">done' in said
    assert '<li class="unchecked">open' in said
    assert "<li>[y] neither" in said
    assert said.count("class=") == 2


@pytest.mark.parametrize("address", ["javascript:x()", "file:///etc/passwd", "//example.com/x.png", "data:image/png,x"])
def test_a_picture_leads_to_web_addresses_alone(address: str) -> None:
    assert "<a" not in html(f"![chart]({address})")


def test_a_picture_in_a_link_and_one_with_a_long_address() -> None:
    assert html("[![badge](https://example.com/b.svg)](https://example.com)").count("<a") == 1
    long = "https://example.com/" + "x" * 500
    assert f">{long[:ADDRESS_SHOWN]}…</a>" in html(f"![]({long})")


def test_many_addresses_cost_what_they_are_long() -> None:
    """Steps are counted by the links that come out: none is lost, none is made twice."""
    assert html("https://example.com/a " * 1_000).count("<a") == 1_000
    assert html("https://" * 2_000).count("<a") <= 10


def test_it_needs_no_window() -> None:
    assert not {name for name in loaded_by("import desktop.widgets.markdown_text") if name.startswith("PySide6")}
