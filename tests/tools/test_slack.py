"""A Slack on a real socket."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.http_server import Answer, Request, Server, serving
from tests.tools.conftest import Call
from worker_core.tools.registry import SkillDefinition, offer
from worker_core.tools.slack import SlackTool

TOKEN = "xoxb-very-secret-token"
ENVIRONMENT = {"SLACK_TOKEN": TOKEN}


class Slack:
    """What it says: by method, the next answer each time; the last one stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[dict[str, Any] | Answer]] = {
            "conversations.list": [
                {
                    "channels": [{"id": "C0000001", "name": "general", "topic": {"value": "All"}}],
                    "response_metadata": {"next_cursor": "more"},
                },
                {"channels": [{"id": "C0000002", "name": "random"}, "odd"], "response_metadata": {"next_cursor": ""}},
            ],
        }
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return self._json({"ok": False, "error": "invalid_auth"})
        parts = urlsplit(request.path)
        method = parts.path.removeprefix("/api/")
        given = json.loads(request.body) if request.method == "POST" else parse_qs(parts.query)
        self.asked.append((method, given))
        answers = self.answers.get(method, [{"ok": False, "error": "unknown_method"}])
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, Answer) else self._json({"ok": True, **answer})

    def _json(self, answer: dict[str, Any]) -> Answer:
        return Answer(200, {"Content-Type": "application/json"}, (json.dumps(answer).encode(),))


@pytest.fixture
def slack() -> Slack:
    return Slack()


@pytest.fixture
def server(slack: Slack) -> Iterator[Server]:
    with serving(slack) as running:
        yield running


def tool(server: Server, name: str) -> SlackTool:
    return SlackTool(name=f"slack_{name}", api=f"http://127.0.0.1:{server.port}/api")


async def test_channels_come_page_by_page(call: Call, slack: Slack, server: Server) -> None:
    result = await call(tool(server, "channels"), {}, environment=ENVIRONMENT)
    assert result.output == "#general (C0000001): All\n#random (C0000002)"
    assert [given.get("cursor") for _, given in slack.asked] == [None, ["more"]]


async def test_users_are_found_by_a_part_of_their_names(call: Call, slack: Slack, server: Server) -> None:
    slack.answers["users.list"] = [
        {"members": [{"id": "U1", "name": "ann", "real_name": "Ann A"}, {"id": "U2", "name": "bob", "deleted": True}]}
    ]
    assert (await call(tool(server, "users"), {"part": "ANN"}, environment=ENVIRONMENT)).output == "Ann A @ann (U1)"
    everybody = await call(tool(server, "users"), {}, environment=ENVIRONMENT)
    assert "bob @bob (U2) (deactivated)" in everybody.output


async def test_history_of_a_channel_by_name_and_of_a_thread(call: Call, slack: Slack, server: Server) -> None:
    messages = [
        {"ts": "1700000060.0002", "user": "U2", "text": "second"},
        {"ts": "1700000000.0001", "user": "U1", "text": "first", "reply_count": 2},
    ]
    slack.answers["conversations.history"] = [{"messages": messages}]
    slack.answers["conversations.replies"] = [{"messages": [{"ts": "x", "text": None}]}]
    result = await call(tool(server, "history"), {"channel": "#random", "limit": 2}, environment=ENVIRONMENT)
    assert result.output == (
        "2023-11-14 22:13:20 [1700000000.0001] U1: first (2 answers)\n2023-11-14 22:14:20 [1700000060.0002] U2: second"
    )
    assert slack.asked[-1] == ("conversations.history", {"channel": ["C0000002"], "limit": ["2"]})
    thread = await call(
        tool(server, "history"), {"channel": "C0000009", "thread": "1700000000.0001"}, environment=ENVIRONMENT
    )
    assert thread.output == "? [x] ?: "
    assert slack.asked[-1][1]["ts"] == ["1700000000.0001"]
    slack.answers["conversations.list"] = [{"channels": []}]
    missing = await call(tool(server, "history"), {"channel": "nowhere"}, environment=ENVIRONMENT)
    assert "no Slack channel 'nowhere'" in (missing.error or "")


async def test_a_message_is_sent_once_and_marked_before(call: Call, slack: Slack, server: Server) -> None:
    slack.answers["chat.postMessage"] = [{"ts": "17.1"}]
    marks: list[int] = []
    result = await call(
        tool(server, "send"),
        {"channel": "#general", "text": "hello *you*", "thread": "16.1"},
        environment={"SLACK_BOT_TOKEN": TOKEN},
        before_effect=lambda: marks.append(len(slack.asked)),
    )
    assert result.output == "The message was sent to #general (timestamp 17.1)."
    assert slack.asked == [("chat.postMessage", {"channel": "#general", "text": "hello *you*", "thread_ts": "16.1"})]
    assert marks == [0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"ok": False, "error": "not_in_channel"}, "invite it there"),
        ({"ok": False, "error": "missing_scope", "needed": "chat:write"}, "lacks a scope: chat:write"),
        ({"ok": False, "error": "something_new"}, "refused chat.postMessage: something_new."),
        ({"ok": False}, "gave no reason"),
        (Answer(500, {}, (b"<html>",)), "answered 500 without JSON"),
        (Answer(429, {"Retry-After": "3"}), "try again in 3 s. Nothing was done."),
        (
            Answer(200, {"Content-Length": "100", "Connection": "close"}, (b"{",)),
            "is not known",
        ),
    ],
)
async def test_what_slack_refuses(call: Call, slack: Slack, server: Server, answer: Any, said: str) -> None:
    slack.answers["chat.postMessage"] = [answer]
    result = await call(tool(server, "send"), {"channel": "C0000001", "text": "x"}, environment=ENVIRONMENT)
    assert not result.succeeded
    assert said in (result.error or "")
    assert (result.error or "").endswith(".")
    assert len(slack.asked) == 1
    assert TOKEN not in str(result)


async def test_reading_is_tried_again_where_slack_asks_for_a_short_pause(
    call: Call, slack: Slack, server: Server
) -> None:
    slack.answers["users.list"] = [Answer(429, {"Retry-After": "0.01"}), {"members": [{"id": "U1", "name": "ann"}]}]
    assert (await call(tool(server, "users"), {}, environment=ENVIRONMENT)).output == "ann @ann (U1)"
    slack.answers["users.list"] = [Answer(429, {"Retry-After": "3600"})]
    refused = await call(tool(server, "users"), {}, environment=ENVIRONMENT)
    assert "fewer calls" in (refused.error or "")


@pytest.mark.parametrize("environment", [{}, {"SLACK_TOKEN": ""}, {"SLACK_TOKEN": "two words"}, {"SLACK_TOKEN": "ü"}])
async def test_without_a_token_nothing_is_asked(
    call: Call, slack: Slack, server: Server, environment: dict[str, str]
) -> None:
    result = await call(tool(server, "channels"), {}, environment=environment)
    assert "has no Slack token" in (result.error or "")
    assert slack.asked == []


async def test_a_slack_that_is_not_there(call: Call) -> None:
    with serving(lambda _: Answer()) as gone:
        away = SlackTool(name="slack_send", api=f"http://127.0.0.1:{gone.port}/api")
    result = await call(away, {"channel": "C0000001", "text": "x"}, environment=ENVIRONMENT)
    assert result.error == "Slack cannot be reached (ConnectError). Nothing was done."


async def test_a_long_history_is_kept_in_the_workspace(call: Call, slack: Slack, server: Server) -> None:
    slack.answers["conversations.history"] = [{"messages": [{"ts": "1", "text": "y" * 5000}] * 20}]
    result = await call(
        tool(server, "history"), {"channel": "C0000001"}, environment=ENVIRONMENT, output_limit_bytes=2000
    )
    assert len(result.output) < 2300
    assert result.saved_to is not None


def test_settings() -> None:
    def names(**configuration: object) -> list[str]:
        return list(offer([SkillDefinition.from_wire({"type": "slack", "configuration": configuration})]).tools)

    assert names() == ["slack_channels", "slack_users", "slack_history"]
    assert names(enable_write=True, enable_read=False) == ["slack_send"]
    assert names(enable_send="true")[-1] == "slack_send"
