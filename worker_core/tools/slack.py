"""`slack`: read and send messages through Slack's Web API, with the token that the execution declared."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec

from worker_core.basics import foreign_json
from worker_core.basics.quick_dataclass import dataclass
from worker_core.control_plane.errors import retry_after
from worker_core.network.http import new_client
from worker_core.network.reachable import AddressRefused
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.tools import arguments
from worker_core.tools.base import Tool, ToolContext, ToolResult, ToolSpec
from worker_core.tools.configuration import Configuration
from worker_core.tools.report import report_text

API = "https://slack.com/api"
TOKENS = ("SLACK_TOKEN", "SLACK_BOT_TOKEN", "SLACK_API_TOKEN")
"""Variables that may hold the token, the first one that is there; the integration's is the first (protocol, 8.9)."""

LIMIT_SECONDS = 30.0
LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
LONGEST_RETRY_SECONDS = 10.0
_PAGES = 5
_PER_PAGE = 200
_ID = re.compile(r"[CDGU][A-Z0-9]{6,}")

_MEANING: Mapping[str, str] = {
    "not_in_channel": "the app is not a member of the channel; invite it there",
    "channel_not_found": "there is no such channel, or the app may not see it",
    "invalid_auth": "the token is not valid; store a new one in the integration",
    "not_authed": "the token is not valid; store a new one in the integration",
    "token_revoked": "the token was revoked; store a new one in the integration",
    "token_expired": "the token has expired; store a new one in the integration",
    "missing_scope": "the token lacks a scope",
    "is_archived": "the channel is archived",
    "msg_too_long": "the message is too long; send it in parts",
    "no_text": "the message is empty",
    "thread_not_found": "there is no such thread",
}


class _Arguments(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    pass


_Channel = Annotated[str, msgspec.Meta(description="Name such as #general, or id.", min_length=1)]
_Limit = Annotated[int, msgspec.Meta(description="How many at most.", ge=1, le=200)]


class ChannelsArguments(_Arguments, kw_only=True):
    part: Annotated[str, msgspec.Meta(description="Only names that hold this.")] = ""


class UsersArguments(_Arguments, kw_only=True):
    part: Annotated[str, msgspec.Meta(description="Only names that hold this.")] = ""


class HistoryArguments(_Arguments, kw_only=True):
    channel: _Channel
    thread: Annotated[str, msgspec.Meta(description="Timestamp of a message, to read the answers to it.")] = ""
    limit: _Limit = 50


class SendArguments(_Arguments, kw_only=True):
    channel: _Channel
    text: Annotated[str, msgspec.Meta(description="The message, in Slack's own markup.", min_length=1)]
    thread: Annotated[str, msgspec.Meta(description="Timestamp of the message that it answers.")] = ""


_OPERATIONS: Mapping[str, tuple[type[_Arguments], bool, str]] = {
    "slack_channels": (ChannelsArguments, True, "List the Slack channels that the app sees."),
    "slack_users": (UsersArguments, True, "List the people of the Slack workspace."),
    "slack_history": (HistoryArguments, True, "Read the newest messages of a Slack channel, or of a thread."),
    "slack_send": (SendArguments, False, "Send a message to a Slack channel, or into a thread."),
}


class SlackRefused(Exception):
    """The sentence says what Slack did not want, or why it could not be asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackTool:
    """One operation. `api` is where the Web API is."""

    name: str
    api: str = API

    @property
    def spec(self) -> ToolSpec:
        model, read_only, description = _OPERATIONS[self.name]
        return ToolSpec(
            name=self.name, description=description, parameters=arguments.schema(model), read_only=read_only
        )

    def subjects(self, arguments_: Mapping[str, Any], reader: Reader) -> Iterable[Subject]:
        return reader.sent(arguments_)

    async def run(self, arguments_: Mapping[str, Any], context: ToolContext) -> ToolResult:
        token = next(filter(None, (context.environment.get(name, "").strip() for name in TOKENS)), "")
        try:
            asked = arguments.read(_OPERATIONS[self.name][0], arguments_)
            if not token or not token.isascii() or not token.isprintable() or " " in token:
                raise SlackRefused(
                    "This execution has no Slack token. Add the Slack integration, or a secret SLACK_TOKEN, to the "
                    "agent's environment."
                )
            context.may_reach("slack.com", 443)
            async with asyncio.timeout(min(context.timeout.total_seconds(), 4 * LIMIT_SECONDS)):
                return await self._answer(asked, token, context)
        except AddressRefused as error:
            return arguments.failed(f"The settings of this worker forbid it: {error.sentence}")
        except (SlackRefused, arguments.WrongArguments) as error:
            return arguments.failed(str(error))
        except TimeoutError:
            return arguments.failed("Slack did not answer in time." + self._doubt())

    def _doubt(self) -> str:
        return " Whether the message was sent is not known; look before you send it again." * (
            self.name == "slack_send"
        )

    async def _answer(self, asked: _Arguments, token: str, context: ToolContext) -> ToolResult:
        async with new_client(base_url=self.api, headers={"Authorization": f"Bearer {token}"}) as client:
            slack = _Slack(client, doubt=self._doubt())
            match asked:
                case ChannelsArguments():
                    found = await slack.channels()
                    lines = [_channel_line(one) for one in found if asked.part.lstrip("#") in str(one.get("name"))]
                case UsersArguments():
                    found = await slack.pages("users.list", "members", {})
                    lines = [line for line in map(_user_line, found) if asked.part.lower() in line.lower()]
                case HistoryArguments():
                    channel = await slack.channel_id(asked.channel)
                    method = "conversations.replies" if asked.thread else "conversations.history"
                    query = {"channel": channel, "limit": str(asked.limit)} | (
                        {"ts": asked.thread} if asked.thread else {}
                    )
                    answer = await slack.call(method, query)
                    messages = [one for one in answer.get("messages") or () if isinstance(one, dict)]
                    lines = [_message_line(one) for one in (messages if asked.thread else reversed(messages))]
                case SendArguments():
                    await asyncio.to_thread(context.before_effect)
                    answer = await slack.call(
                        "chat.postMessage",
                        {"channel": asked.channel, "text": asked.text}
                        | ({"thread_ts": asked.thread} if asked.thread else {}),
                        post=True,
                    )
                    lines = [f"The message was sent to {asked.channel} (timestamp {answer.get('ts')})."]
                case _:
                    raise AssertionError(asked)
        return await report_text("\n".join(lines) or "(nothing)", context)


class _Slack:
    def __init__(self, client: Any, *, doubt: str) -> None:
        self._client = client
        self._doubt = doubt

    async def call(self, method: str, given: Mapping[str, str], *, post: bool = False) -> dict[str, Any]:
        """One call; one that only reads is made once more where Slack asks for a short pause."""
        for attempt in (1, 2):
            answer, headers = await self._once(method, given, post=post)
            if answer is not None:
                break
            wait = retry_after(headers) or 1.0
            if post or attempt == 2 or wait > LONGEST_RETRY_SECONDS:
                raise SlackRefused(f"Slack asks for fewer calls; try again in {wait:g} s. Nothing was done.")
            await asyncio.sleep(wait)
        assert answer is not None
        if answer.get("ok") is not True:
            said = str(answer.get("error") or "it gave no reason")[:100]
            needed = f": {str(answer['needed'])[:100]}" if answer.get("needed") else ""
            meaning = f" ({_MEANING[said]}{needed})" if said in _MEANING else ""
            raise SlackRefused(f"Slack refused {method}: {said}{meaning}.")
        return answer

    async def _once(
        self, method: str, given: Mapping[str, str], *, post: bool
    ) -> tuple[dict[str, Any] | None, Mapping[str, str]]:
        """The answer, or None for a 429."""
        import httpx2

        content = bytearray()
        try:
            async with asyncio.timeout(LIMIT_SECONDS):
                request = {"json": dict(given)} if post else {"params": dict(given)}
                async with self._client.stream("POST" if post else "GET", method, **request) as response:
                    if response.status_code == 429:
                        return None, response.headers
                    async for piece in response.aiter_bytes():
                        content += piece
                        if len(content) > LARGEST_ANSWER_BYTES:
                            raise SlackRefused("Slack's answer is too large; ask for less.")
        except TimeoutError:
            raise SlackRefused(f"Slack did not answer within {LIMIT_SECONDS:g} s.{self._doubt}") from None
        except httpx2.HTTPError as error:
            unsent = isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout)
            doubt = " Nothing was done." if unsent else self._doubt
            raise SlackRefused(f"Slack cannot be reached ({type(error).__name__}).{doubt}") from None
        try:
            answer = foreign_json.loads(bytes(content))
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise SlackRefused(f"Slack answered {response.status_code} without JSON.{self._doubt}")
        return answer, response.headers

    async def pages(self, method: str, key: str, query: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        cursor = ""
        for _ in range(_PAGES):
            asked = {"limit": str(_PER_PAGE), **query} | ({"cursor": cursor} if cursor else {})
            answer = await self.call(method, asked)
            found += [one for one in answer.get(key) or () if isinstance(one, dict)]
            metadata = answer.get("response_metadata")
            cursor = str(metadata.get("next_cursor") or "") if isinstance(metadata, dict) else ""
            if not cursor:
                break
        return found

    async def channels(self) -> list[dict[str, Any]]:
        query = {"exclude_archived": "true", "types": "public_channel,private_channel"}
        return await self.pages("conversations.list", "channels", query)

    async def channel_id(self, channel: str) -> str:
        if _ID.fullmatch(channel):
            return channel
        name = channel.lstrip("#")
        for one in await self.channels():
            if one.get("name") == name:
                return str(one.get("id"))
        raise SlackRefused(f"There is no Slack channel {channel[:100]!r} that the app sees.")


def _channel_line(one: Mapping[str, Any]) -> str:
    topic = one.get("topic")
    about = str(topic.get("value") or "") if isinstance(topic, dict) else ""
    return f"#{one.get('name')} ({one.get('id')}){f': {about}' if about else ''}"


def _user_line(one: Mapping[str, Any]) -> str:
    gone = " (deactivated)" if one.get("deleted") else ""
    return f"{one.get('real_name') or one.get('name')} @{one.get('name')} ({one.get('id')}){gone}"


def _message_line(one: Mapping[str, Any]) -> str:
    timestamp = str(one.get("ts") or "")
    try:
        at = datetime.fromtimestamp(float(timestamp), tz=UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        at = "?"
    answers = f" ({one['reply_count']} answers)" if one.get("reply_count") else ""
    author = one.get("user") or one.get("username") or one.get("bot_id") or "?"
    return f"{at} [{timestamp}] {author}: {one.get('text') or ''}{answers}"


_SWITCHES = ("enable_read", "enable_write", "enable_send")


def make(configuration: Configuration) -> dict[str, Tool]:
    """Reading is on by default (protocol, section 9.4); sending is not, since it speaks to people."""
    allowed = {
        "slack_channels": configuration.switch("enable_read", default=True),
        "slack_send": configuration.switch(
            "enable_write" if "enable_write" in configuration.values else "enable_send", default=False
        ),
    }
    for key, value in configuration.values.items():
        if key.startswith("enable_") and key not in _SWITCHES and value is True:
            configuration.unknown.append(
                f"The setting {key[:100]} of a skill is not honoured: Slack is read (enable_read) and written to "
                "(enable_write) here, nothing else."
            )
    return {
        name: SlackTool(name=name)
        for name, (_, read_only, _) in _OPERATIONS.items()
        if allowed["slack_channels" if read_only else "slack_send"]
    }
