"""What a gateway's refusal means: decided by its status, type and code, then by its words; told in its own."""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from typing import Final

from worker_core.errors import KubiyaError
from worker_core.model.answer import Usage
from worker_core.model.retry_after import retry_after, their_time
from worker_core.model.said import Said


class Cause(StrEnum):
    """Why there was no answer: what follows from it hangs on this alone."""

    FAILED = "failed"
    """Something broke: a few more tries may do."""

    BUSY = "busy"
    """The gateway or its provider wants fewer requests, or is overloaded: to be waited for."""

    ACCOUNT = "account"
    """Quota, budget or credit are used up: only its owner can mend that, and then the conversation may go on."""

    CONTEXT_FULL = "context_full"
    """The conversation is longer than the model takes; a shorter one may succeed."""

    ACCESS = "access"
    """The key may not use this model, or the model is not there."""

    KEY = "key"
    REQUEST = "request"
    """The request itself is refused; so would the same one be."""

    @property
    def retryable(self) -> bool:
        """Whether the same call may succeed a little later."""
        return self in {Cause.FAILED, Cause.BUSY}

    @property
    def passing(self) -> bool:
        """Whether it may succeed some day, without a change of the conversation."""
        return self in {Cause.FAILED, Cause.BUSY, Cause.ACCOUNT}


class GatewayError(KubiyaError):
    """The gateway did not give an answer.

    Attributes:
        cause: what follows from it.
        retry_after_seconds: what the gateway asked for, else None.
        category: the error category of the protocol, section 8.3.
        limit_tokens: of the model's context, where the gateway said it; else 0.
        usage: what was paid all the same, by this and earlier attempts.
    """

    def __init__(
        self,
        sentence: str,
        *,
        cause: Cause,
        retry_after_seconds: float | None = None,
        category: str = "llm_model_error",
        limit_tokens: int = 0,
    ) -> None:
        super().__init__(sentence)
        self.cause = cause
        self.retry_after_seconds = retry_after_seconds
        self.category = category
        self.limit_tokens = limit_tokens
        self.usage = Usage()

    @property
    def retryable(self) -> bool:
        return self.cause.retryable


_FULL_KINDS: Final = (
    "context_length_exceeded", "exceed_context_size", "contextwindowexceeded", "context_window_exceeded",
    "request_too_large", "prompt_too_long", "model_context_window_exceeded",
)  # fmt: skip
_FULL_WORDS: Final = (
    "context length", "context window", "contextwindowexceeded", "context_length_exceeded", "context size",
    "context limit", "context overflow", "available context", "prompt is too long", "input is too long",
    "prompt too long", "maximum number of tokens allowed", "maximum prompt length", "maximum input length",
    "model token limit", "prompt exceeds max length", "reduce the length of the messages", "too many tokens",
    "range of input length", "input tokens exceed", "token count exceeds", "inputs tokens +",
    "request exceeds the maximum size", "exceeds the maximum allowed input",
)  # fmt: skip
"""OpenAI, vLLM, SGLang; LiteLLM's class; llama.cpp; Anthropic; LM Studio; Bedrock; Gemini; xAI; TGI; Kimi; GLM; Groq,
Cerebras; Mistral; Qwen. Searched in the whole text, before anything of it is cut."""

_PROMPT_LIMIT: Final = re.compile(r"prompt token count of \d+ exceeds the limit of (\d+)")
"""GitHub Copilot."""

_TOO_LARGE: Final = re.compile(r"limit[: ]+(\d{1,9})\b.{0,80}requested[: ]+(\d{1,9})\b", re.DOTALL)
"""A limit by the minute that this one request is larger than, or one among others."""

_LIMITS: Final = (
    re.compile(r">\s*(\d{3,8})\b"),
    re.compile(r"exceeds the limit of (\d{3,8})\b"),
    re.compile(r"(?:maximum context length|maximum prompt length|context (?:size|length|window))\D{0,30}(\d{3,8})\b"),
    re.compile(r"(?:tokens allowed|token limit|limit|maximum)\D{0,12}(\d{3,8})\b"),
)
_LEAST_LIMIT: Final = 512

_ACCOUNT_KINDS: Final = (
    "insufficient_quota", "billing", "budget_exceeded", "insufficient_balance", "payment_required",
    "exceeded_current_quota", "credit", "spend_limit",
)  # fmt: skip
_ACCOUNT_WORDS: Final = (
    "insufficient_quota", "exceeded your current quota", "insufficient balance", "insufficient credit",
    "credit balance", "budget has been exceeded", "budget exceeded", "budgetexceedederror", "exceeded budget",
    "more credits", "out of credits", "usage limit", "spending limit", "billing",
)  # fmt: skip
_ACCESS_KINDS: Final = ("model_access_denied", "model_not_found", "unsupported_country", "model_not_available")
_ACCESS_WORDS: Final = (
    "not allowed to access model", "access to model", "access to the model", "model does not exist", "country, region",
    "not available for this api key", "invalid model name", "can only access models", "no such model",
    "not available in your",
)  # fmt: skip
_NOT_THERE: Final = re.compile(r"\bmodel\b.{0,100}\b(?:not found|does not exist|not exist)")
_BUSY_KINDS: Final = ("rate_limit", "overloaded", "too_many_requests", "resource_exhausted", "throttl", "slow_down")
_BUSY_WORDS: Final = ("rate limit", "overloaded", "too many requests", "at capacity", "server is busy")
_REFUSED_KINDS: Final = ("invalid_request", "invalid_argument", "invalid_parameter")
_ENDLESS: Final = "repeating the same chunk"
"""LiteLLM ends an answer that says one thing over and over. Another try would be paid as well."""


def understood(said: Said, *, base_url: str, model: str, now: datetime | None = None) -> GatewayError:
    """The error that a refusal is.

    Args:
        said: by the gateway, with its status or in mid-stream.
        base_url: of the gateway, for the sentence.
        model: that was asked for.
        now: for dates among the headers; by default what the gateway's own clock says, by which it made them.
    """
    gateway = f"The LLM gateway {base_url}"
    words = f": {said.words}" if said.words else ""
    status = f" ({said.status})" if said.status else ""
    wait = retry_after(said.headers, said.message, now=now or their_time(said.headers))
    match _cause(said, wait):
        case Cause.CONTEXT_FULL:
            return GatewayError(
                f"{gateway} says that the conversation is too long for model {model}{status}{words}.",
                cause=Cause.CONTEXT_FULL,
                limit_tokens=_limit(said),
            )
        case Cause.ACCOUNT:
            return GatewayError(
                f"{gateway} does not answer{status}, since a quota, budget or credit is used up{words}.",
                cause=Cause.ACCOUNT,
            )
        case Cause.ACCESS:
            return GatewayError(
                f"{gateway} does not offer the model {model} to this key{status}{words}. Check the agent's model, and "
                "what the key may use.",
                cause=Cause.ACCESS,
                category="authentication" if said.status in {401, 403} else "llm_model_error",
            )
        case Cause.KEY if "litellm.authenticationerror" in said.text or "litellm.permissiondeniederror" in said.text:
            return GatewayError(
                f"{gateway} could not sign in at the provider behind it{status}{words}. That is for whoever runs the "
                "gateway to mend.",
                cause=Cause.KEY,
                category="authentication",
            )
        case Cause.KEY:
            return GatewayError(
                f"{gateway} refused the key{status}{words}. Check LITELLM_API_KEY, or the gateway settings of the "
                "control plane.",
                cause=Cause.KEY,
                category="authentication",
            )
        case Cause.BUSY:
            return GatewayError(
                f"{gateway} asks for fewer requests{status}{words}."
                if said.status == 429 or _any(said.kind, ("rate_limit",))
                else f"{gateway} is overloaded{status}{words}.",
                cause=Cause.BUSY,
                retry_after_seconds=wait,
            )
        case Cause.FAILED:
            return GatewayError(f"{gateway} failed{status}{words}.", cause=Cause.FAILED, retry_after_seconds=wait)
        case _:
            return GatewayError(
                f"{gateway} did not accept the request for model {model}{status}{words}.", cause=Cause.REQUEST
            )


def _cause(said: Said, wait: float | None) -> Cause:
    text, kind, status = said.text, said.kind, said.status
    if _says_full(said):
        return Cause.CONTEXT_FULL
    # Gemini says of its limits by the minute that the quota is exceeded; it says how long as well.
    if status == 402 or _any(kind, _ACCOUNT_KINDS) or (wait is None and _any(text, _ACCOUNT_WORDS)):
        return Cause.ACCOUNT
    if status in {400, 401, 403, 404} and (_any(kind, _ACCESS_KINDS) or _any(text, _ACCESS_WORDS)):
        return Cause.ACCESS
    if status == 404 and _NOT_THERE.search(text):
        return Cause.ACCESS
    if status in {401, 403}:
        return Cause.KEY
    if _ENDLESS in text:
        return Cause.REQUEST
    if status in {429, 503, 529} or _any(kind, _BUSY_KINDS) or (status in {0, 500, 502} and _any(text, _BUSY_WORDS)):
        return Cause.BUSY
    if status >= 500 or status in {408, 409, 425}:
        return Cause.FAILED
    if status == 0:  # in mid-stream, without a code
        return Cause.REQUEST if _any(kind, _REFUSED_KINDS) else Cause.FAILED
    return Cause.REQUEST


def _says_full(said: Said) -> bool:
    if said.status == 413 or _any(said.kind, _FULL_KINDS):
        return True
    if said.status in {401, 403, 404}:
        return False
    text = said.text
    if said.status == 429:
        found = _TOO_LARGE.search(text.replace(",", ""))
        return int(found.group(2)) > int(found.group(1)) if found is not None else "request too large" in text
    return _any(text, _FULL_WORDS) or _PROMPT_LIMIT.search(text) is not None


def _limit(said: Said) -> int:
    """Tokens that the model takes, as far as the refusal says so."""
    if said.limit_tokens:
        return said.limit_tokens
    text = said.text.replace(",", "")
    for expression in _LIMITS:
        if (found := expression.search(text)) and int(found.group(1)) >= _LEAST_LIMIT:
            return int(found.group(1))
    return 0


def _any(text: str, words: tuple[str, ...]) -> bool:
    return any(word in text for word in words)
