"""What chats are sent: the forms of their incoming webhooks, and names that would be markup there."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.hooks.chat import LONGEST_TEXT, rendered
from worker_core.hooks.occasion import MOST_CALLS, Told
from worker_core.settings.choices import NotifyFormat

URL = "https://chat.example/base/topic-1?auth=abc"
HOSTILE = "<!channel> <@U1> @everyone\n\u202e[ok](http://e.io) <http://e.io|ok> **b**"
FORMS = [form for form in get_args(NotifyFormat) if form != "json"]


def waiting(tool: str = "shell", number: int = 1) -> Told:
    return Told(occasion="waiting", host_id="host-1", execution_id="e-1", approval_id=f"p-{number}", tool=tool)


def said(form: Any, told: Told) -> str:
    """All that a person sees of it."""
    _, body = rendered(told, form, url=URL)
    match form:
        case "slack":
            return str(body["text"])
        case "teams":
            card = body["attachments"][0]["content"]
            return "\n".join(run["text"] for block in card["body"] for run in block["inlines"])
        case "discord":
            return str(body["content"])
        case _:
            return str(body["message"])


def test_slack_is_sent_text_without_control_characters() -> None:
    url, body = rendered(waiting(HOSTILE), "slack", url=URL)
    assert url == URL
    assert body.keys() == {"text", "mrkdwn", "unfurl_links", "unfurl_media"}
    assert "&lt;!channel&gt; &lt;@U1&gt;" in body["text"]
    assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", body["text"])
    assert body["mrkdwn"] is body["unfurl_links"] is False


def test_teams_is_sent_a_card_whose_text_is_no_markdown() -> None:
    _, body = rendered(waiting(HOSTILE), "teams", url=URL)
    [attached] = body["attachments"]
    assert (body["type"], attached["contentType"]) == ("message", "application/vnd.microsoft.card.adaptive")
    card = attached["content"]
    assert (card["type"], card["version"]) == ("AdaptiveCard", "1.2")
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert "msteams" not in card, "there, entities would be mentioned"


def test_discord_calls_nobody_and_fetches_nothing() -> None:
    _, body = rendered(waiting(HOSTILE), "discord", url=URL)
    assert body["allowed_mentions"] == {"parse": []}
    assert body["flags"] == 4
    assert r"\<\!channel\>" in body["content"]
    assert not re.search(r"(?<!\\)[<>`@\[\]*]", body["content"])


def test_ntfy_is_sent_to_its_root_with_the_topic() -> None:
    url, body = rendered(waiting(), "ntfy", url=URL)
    assert url == "https://chat.example/base/?auth=abc"
    assert (body["topic"], body["priority"]) == ("topic-1", 4)
    assert "markdown" not in body
    assert rendered(waiting(), "ntfy", url="https://ntfy.example/alerts")[0] == "https://ntfy.example/"


@pytest.mark.parametrize("form", FORMS)
def test_each_says_what_waits_and_where(form: Any) -> None:
    plain = said(form, waiting()).replace("\\", "")
    assert plain.splitlines()[0] == "shell waits for your answer: approval p-1, execution e-1 on host-1."
    assert "kubiya-worker approvals" in plain
    assert "kubiya-worker approvals" not in said(form, Told(occasion="failed", host_id="host-1", execution_id="e-1"))
    assert "<U+202E>" in said(form, waiting(HOSTILE)).replace("\\", "").replace("&lt;", "<").replace("&gt;", ">")
    assert len(said(form, waiting(HOSTILE)).splitlines()) == 2, "a name begins no line"


@pytest.mark.parametrize("form", FORMS)
def test_many_are_named_and_the_rest_is_counted(form: Any) -> None:
    calls = tuple(waiting(number=number) for number in range(MOST_CALLS + 3))
    failed = Told(occasion="failed", host_id="host-1", execution_id="e-9", outcome="failed")
    told = Told(occasion="quiet_over", host_id="host-1", calls=(failed, *calls))
    lines = said(form, told).replace("\\", "").splitlines()
    assert lines[0] == "Quiet hours are over on host-1: 23 waiting for you, 1 failed."
    assert lines[1] == "An execution failed: execution e-9 on host-1."
    assert lines[-2] == "… and 4 more"


@given(st.sampled_from(FORMS), st.text(max_size=400), st.text(max_size=400))
def test_whatever_is_named_fits(form: Any, tool: str, execution_id: str) -> None:
    told = Told(
        occasion="quiet_over", host_id="h", calls=tuple(
            Told(occasion="waiting", host_id="h", execution_id=execution_id, approval_id="p", tool=tool)
            for _ in range(MOST_CALLS)
        ),
    )  # fmt: skip
    shown = said(form, told)
    assert (len(shown.encode()) if form == "ntfy" else len(shown)) <= LONGEST_TEXT[form]


def test_what_does_not_fit_is_cut() -> None:
    told = Told(occasion="quiet_over", host_id="h", calls=tuple(waiting("*" * 80) for _ in range(MOST_CALLS)))
    assert len(said("discord", told)) == LONGEST_TEXT["discord"]
    assert said("discord", told).endswith("…")
