"""What a web address is sent: JSON of ours, or the form that a chat's incoming webhook takes.

Names of tools come from servers. They are written so that all is seen that is there, and so that no chat takes any of
it for its markup: nobody is mentioned, nothing becomes a link with another text, and no address is looked at.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

from worker_core.basics.visible import visible_line
from worker_core.hooks.occasion import MOST_CALLS, Told
from worker_core.settings.choices import NotifyFormat

LONGEST_NAME: Final = 80
"""Characters of one id or name in a sentence."""

LONGEST_TEXT: Final = {"slack": 3_000, "teams": 8_000, "discord": 1_900, "ntfy": 3_600}
"""Of what is sent, as it is counted there: bytes for ntfy, which makes a file of more than 4,096, else characters."""

_MARKDOWN: Final = re.compile(r"([\\`*_{}\[\]()<>#+\-.!|~:@&])")
_SUPPRESS_EMBEDS: Final = 1 << 2


def rendered(told: Told, form: NotifyFormat, *, url: str, answers: str = "") -> tuple[str, dict[str, Any]]:
    """Where to send it, and the body: JSON.

    Args:
        told: what happened.
        form: what `notify_format` says.
        url: what `notify_webhook` says.
        answers: what `notify_answers` says.
    """
    if form == "json":
        return url, told.message()
    if form == "ntfy":
        return _ntfy(told, url, answers)
    return url, _BODIES[form](text(told))


def text(told: Told) -> str:
    """What happened, for people; plain text, a line for each thing."""
    lines = [title(told)]
    for one in (told, *told.calls[:MOST_CALLS]):
        lines += [_line(one)] * (one is not told) + one.question.splitlines()
    if (more := len(told.calls) - MOST_CALLS) > 0:
        lines.append(f"… and {more} more")
    if told.occasion == "waiting" or told.count("waiting"):
        lines.append("Answer in the window, or with `kubiya-worker approvals` on that machine.")
    return "\n".join(lines)


def title(told: Told) -> str:
    """The first line of it."""
    match told.occasion:
        case "waiting" | "failed":
            return _line(told)
        case "quiet_over":
            waiting, failed = told.count("waiting"), told.count("failed")
            return f"Quiet hours are over on {_name(told.host_id)}: {waiting} waiting for you, {failed} failed."
        case "test":
            return f"A test from the worker on {_name(told.host_id)}: what waits for you or fails is told here."
        case _:
            return f"{told.occasion}: {_name(told.execution_id)}"


def _line(told: Told) -> str:
    if told.occasion == "waiting":
        return f"{_name(told.tool)} waits for your answer: approval {_name(told.approval_id)}, {_where(told)}."
    if told.outcome == "worker":
        return f"The worker on {_name(told.host_id)} failed."
    return f"An execution failed: {_where(told)}."


def _where(told: Told) -> str:
    return f"execution {_name(told.execution_id)} on {_name(told.host_id)}"


def _name(value: str) -> str:
    said = visible_line(value[: 2 * LONGEST_NAME])
    return said if len(said) <= LONGEST_NAME else f"{said[: LONGEST_NAME - 1]}…"


def _slack(said: str) -> dict[str, Any]:
    """Slack's incoming webhook. `&`, `<` and `>` are its only control characters, written as entities, so that
    `<!channel>` and `<https://…|text>` stay text (docs.slack.dev/messaging/formatting-message-text).
    """
    escaped = said.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": _cut(escaped, "slack"), "mrkdwn": False, "unfurl_links": False, "unfurl_media": False}


def _teams(said: str) -> dict[str, Any]:
    """An Adaptive Card, as an incoming webhook or workflow of Teams takes it
    (learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors). Text of a `TextRun` is no Markdown
    (learn.microsoft.com/adaptive-cards/schema-explorer/text-run); somebody is mentioned by an entity of the card alone,
    and there is none.
    """
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "body": [
            {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": line}]}
            for line in _cut(said, "teams").split("\n")
        ],
    }
    kind = "application/vnd.microsoft.card.adaptive"
    return {"type": "message", "attachments": [{"contentType": kind, "contentUrl": None, "content": card}]}


def _discord(said: str) -> dict[str, Any]:
    """Discord's webhook: 2,000 characters at most, with an empty list of allowed mentions nobody is called, and nothing
    is fetched for a preview (docs.discord.com/developers/resources/webhook#execute-webhook).
    """
    escaped = _MARKDOWN.sub(r"\\\1", said)
    return {"content": _cut(escaped, "discord"), "allowed_mentions": {"parse": []}, "flags": _SUPPRESS_EMBEDS}


_BODIES: Final[Mapping[str, Callable[[str], dict[str, Any]]]] = {
    "slack": _slack, "teams": _teams, "discord": _discord,
}  # fmt: skip


def _ntfy(told: Told, url: str, answers: str) -> tuple[str, dict[str, Any]]:
    """The JSON of ntfy, which is sent to the server's root and names the topic
    (docs.ntfy.sh/publish/#publish-as-json). Its text is plain unless `markdown` is on. Priorities are 1 to 5.

    A button sends a denial to the topic of the answers (docs.ntfy.sh/publish/#action-buttons). There is none to allow:
    whoever reads the topic could press it, and what allows is signed.
    """
    parts = urlsplit(url)
    folder, _, topic = parts.path.rstrip("/").rpartition("/")
    root = urlunsplit((parts.scheme, parts.netloc, f"{folder}/", parts.query, ""))
    waits = told.occasion == "waiting" or bool(told.count("waiting"))
    said = _cut(text(told), "ntfy")
    body: dict[str, Any] = {"topic": topic, "title": "Kubiya Worker", "message": said, "priority": 4 if waits else 3}
    there = urlsplit(answers)
    if told.code and there.path.endswith("/json"):
        body["actions"] = [
            {
                "action": "http",
                "label": "Deny",
                "url": urlunsplit((there.scheme, there.netloc, there.path.removesuffix("/json"), "", "")),
                "method": "POST",
                "body": json.dumps({"answer": "deny", "code": told.code}),
                "clear": True,
            }
        ]
    return root, body


def _cut(said: str, form: NotifyFormat) -> str:
    limit = LONGEST_TEXT[form]
    if form == "ntfy":
        return said.encode()[:limit].decode("utf-8", "ignore")
    return said if len(said) <= limit else f"{said[: limit - 1]}…"
