"""Settings of the model (`llm_config`): which are sent, which are not honoured, and which a model refuses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from worker_core.model.said import Said

SENT: Final = (
    "temperature", "top_p", "top_k", "min_p", "max_tokens", "max_completion_tokens", "stop", "frequency_penalty",
    "presence_penalty", "repetition_penalty", "seed", "reasoning_effort", "reasoning", "thinking", "verbosity",
    "parallel_tool_calls", "response_format", "service_tier", "logit_bias", "user", "metadata", "safety_settings",
    "prompt_cache_key", "chat_template_kwargs",
)  # fmt: skip
"""As they are. What a gateway does not know, it leaves alone or refuses by name; then it is left out."""

BOX: Final = "extra_body"
"""Its fields are sent like these (the habit of OpenAI's library)."""

_OURS: Final = frozenset({"model", "messages", "tools", "stream", "stream_options", "n", "tool_choice"})
"""What the conversation itself is made of."""

INSTEAD: Final = {"max_tokens": "max_completion_tokens"}
"""Models that refuse the first name take the second."""

_REFUSING: Final = re.compile(
    r"unsupported|(?:not|n't) support|unrecogni[sz]ed|unknown|unexpected|not permitted|not allowed|extra inputs"
    r"|deprecated|invalid|not available|may only|only be",
)
_NAMED: Final = r"""['"`\[]{0}['"`\]]|(?:^|\s){0}[:=]"""
"""In quotes, or before a colon or an equals sign: `user` and `stop` are words of the language as well."""

_WANTED: Final = re.compile(r"must be (?:passed|provided|included|sent)|is required|missing|expected")


def options_of(configuration: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is sent, and the names of the settings that are not; those that are null say nothing."""
    given = {key: value for key, value in configuration.items() if value is not None}
    box = given.pop(BOX, None)
    if isinstance(box, Mapping):
        extra = {str(key): value for key, value in box.items() if value is not None}
    else:
        extra = {} if box is None else {BOX: box}
    sent = {key: value for key, value in given.items() if key in SENT}
    sent |= {key: value for key, value in extra.items() if key not in _OURS and key != BOX}
    return sent, tuple(sorted({*given, *extra} - sent.keys()))


def refused_option(said: Said, sent: Iterable[str]) -> str:
    """Which of the options that were sent the model refuses by name; empty where none is named.

    LiteLLM and others name it in their words alone: "does not support parameters: ['temperature']".
    """
    if said.status not in {0, 400, 422}:
        return ""
    names = tuple(sent)
    root = re.split(r"[.\[]", said.param)[0]
    if root in names:
        return root
    text = said.text
    if not _REFUSING.search(text):
        return ""
    return next((name for name in names if re.search(_NAMED.format(re.escape(name.lower())), text)), "")


def refuses_opaque(said: Said, names: Iterable[str]) -> bool:
    """Whether what came with an earlier answer is refused now that it goes back."""
    if said.status not in {0, 400, 422} or _WANTED.search(said.text):
        return False
    text = said.text
    return _REFUSING.search(text) is not None and any(name in text for name in names)
