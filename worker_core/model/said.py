"""What a gateway said when it gave no answer: its own words, without what its layers wrapped around them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass

LONGEST_WORDS: Final = 300
"""Characters of the gateway's own words that are shown."""

_LONGEST_READ: Final = 200_000
_WORDS_WITHIN: Final = 5_000
"""Characters in which the gateway's own words must stand; they are looked for more than once."""

_LAYERS: Final = 8

_QUOTED_MESSAGE: Final = re.compile(r"""["']message["']\s*:\s*(?:"((?:[^"\\]|\\.)+)"|'((?:[^'\\]|\\.)+)')""", re.DOTALL)
_WRAPPED: Final = re.compile(
    r"""^\s*(?:
        (?:litellm\.)?[A-Za-z_.]*(?:Error|Exception)\s*(?::|\s-)\s*   # litellm.BadRequestError: OpenAIException -
      | Error\ code:\s*\d+\s*-?\s*                                     # Error code: 400 -
      | HTTP\ \d{3}:\s*
      | b(?=['"])
    )""",
    re.VERBOSE,
)
_EPILOGUE: Final = re.compile(
    r"(?:Received Model Group=|Available Model Group Fallbacks=|LiteLLM Retried:"
    r"|No fallback model group found|Error doing the fallback:|Set 'context_window_fallback'"
    r"|model=\S{1,100} (?:context_window|content_policy|fallbacks)).*",
    re.DOTALL,
)
_KEY_HASH: Final = re.compile(r"\bKey=[0-9a-f]{16,}\s*")
_ESCAPES: Final = {"\\n": "\n", "\\t": " ", '\\"': '"', "\\'": "'", "\\\\": "\\"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """A refusal as it came. Texts are empty where nothing was said."""

    status: int
    """Of HTTP; of an error in mid-stream, what its code says, or 0."""

    message: str = ""
    """The whole text, wrapped as it was."""

    kind: str = ""
    """`type` and `code` together, in lower case."""

    param: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Lower-case names."""

    limit_tokens: int = 0
    """Of the model's context, where the server says it outside of its words (llama.cpp)."""

    @property
    def words(self) -> str:
        """The first paragraph of what the gateway says itself, on one line and not long; without a full stop."""
        return own_words(self.message)

    @property
    def text(self) -> str:
        """Everything to search in, in lower case."""
        return f"{self.message}\n{self.kind}".lower()


def said_by(status: int, body: Any, headers: Mapping[str, str]) -> Said:
    """Read a refusal.

    Args:
        status: of HTTP; 0 for an error in mid-stream.
        body: bytes, or JSON that was read already.
        headers: of the response.
    """
    if isinstance(body, bytes):
        body = _json_or_text(body)
    if isinstance(body, list):  # Gemini's endpoint
        body = body[0] if body else {}
    lower = {name.lower(): value for name, value in headers.items()}
    if not isinstance(body, Mapping):
        return Said(status=status, message=_text(body), headers=lower)
    error = body.get("error")
    inner: Mapping[str, Any] = error if isinstance(error, Mapping) else body
    details = inner.get("metadata")
    box: Mapping[str, Any] = details if isinstance(details, Mapping) else {}
    message = error if isinstance(error, str) else (inner.get("message") or inner.get("msg") or body.get("detail"))
    named = box.get("headers")
    raw = box.get("raw")  # OpenRouter: the words of the provider behind it
    return Said(
        status=status or _status(inner),
        message=f"{_text(raw)}\n\n{_text(message)}" if raw else _text(message),
        kind=" ".join(str(inner[key]) for key in ("type", "code", "status") if inner.get(key)).lower()[:200],
        param=_text(inner.get("param"))[:200],
        headers={**lower, **{str(name).lower(): str(value) for name, value in named.items()}}
        if isinstance(named, Mapping)
        else lower,
        limit_tokens=_whole(inner.get("n_ctx")),
    )


def own_words(message: str) -> str:
    """See `Said.words`."""
    text = message[:_WORDS_WITHIN]
    for _ in range(_LAYERS):
        found = _QUOTED_MESSAGE.search(text)
        inner = found and (found.group(1) or found.group(2))
        shorter = _unescaped(inner) if inner else _WRAPPED.sub("", text, count=1)
        if shorter == text:
            break
        text = shorter
    text = _EPILOGUE.sub("", _KEY_HASH.sub("", text))
    paragraph = next((part for part in text.split("\n\n") if part.strip()), "")
    line = " ".join(paragraph.split()).strip(" '\"").rstrip(".")
    if len(line) > LONGEST_WORDS:
        line = line[:LONGEST_WORDS].rpartition(" ")[0].rstrip(".,;: ") + " …"
    return line


def _json_or_text(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        pass
    text = body[:_LONGEST_READ].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = re.search(r"<title[^>]{0,200}>([^<]{1,200})</title>", text, re.IGNORECASE)
        return f"an HTML page titled “{title.group(1).strip()}”" if title else "an HTML page"
    return text


def _unescaped(text: str) -> str:
    return re.sub(r"""\\[nt"'\\]""", lambda found: _ESCAPES[found.group()], text)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value[:_LONGEST_READ]
    if isinstance(value, list) and value and all(isinstance(one, Mapping) and "msg" in one for one in value):  # FastAPI
        return "; ".join(f"{_place(one.get('loc'))}{one['msg']}" for one in value)[:_LONGEST_READ]
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False, default=str)[:_LONGEST_READ] if value else ""
    return "" if value is None else str(value)


def _place(loc: Any) -> str:
    return f"{'.'.join(map(str, loc))}: " if isinstance(loc, list) and loc else ""


def _status(error: Mapping[str, Any]) -> int:
    for key in ("code", "status", "status_code"):
        if 400 <= (number := _whole(error.get(key))) < 600:
            return number
    return 0


def _whole(value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
