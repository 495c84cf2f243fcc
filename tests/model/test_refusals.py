"""What refusals mean, in the words of those who say them, and what a person reads of them."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.model.refusals import Cause, GatewayError, understood
from worker_core.model.retry_after import retry_after, their_time
from worker_core.model.said import LONGEST_WORDS, own_words, said_by

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


def refusal(status: int, body: Any, headers: dict[str, str] | None = None) -> GatewayError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return understood(said_by(status, content, headers or {}), base_url="https://g.test/v1", model="m", now=NOW)


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


LITELLM = (
    'litellm.BadRequestError: AnthropicException - b\'{"type":"error","error":{"type":"invalid_request_error",'
    '"message":"%s"}}\'. Received Model Group=claude\nAvailable Model Group Fallbacks=None LiteLLM Retried: 2 times'
)

FULL: list[tuple[str, int, Any, int]] = [
    (
        "OpenAI",
        400,
        error(
            "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
            code="context_length_exceeded",
            param="messages",
        ),
        8192,
    ),
    ("OpenAI, by its code alone", 400, error("no", code="context_length_exceeded"), 0),
    ("Anthropic", 400, error("prompt is too long: 210000 tokens > 200000 maximum"), 200_000),
    (
        "Anthropic, with the output counted",
        400,
        error("input length and `max_tokens` exceed context limit: 179413 + 32768 > 200000, decrease input length"),
        200_000,
    ),
    ("Anthropic, by size", 413, error("Request exceeds the maximum size", type="request_too_large"), 0),
    (
        "LiteLLM's class",
        400,
        error(
            "litellm.ContextWindowExceededError: litellm.BadRequestError: "
            "ContextWindowExceededError: OpenAIException - too much",
            code="400",
        ),
        0,
    ),
    ("LiteLLM, behind a long beginning", 400, error(LITELLM % ("x" * 500 + " exceeds context limit")), 0),
    (
        "llama.cpp",
        400,
        {
            "error": {
                "code": 400,
                "type": "exceed_context_size_error",
                "n_ctx": 4096,
                "n_prompt_tokens": 5000,
                "message": "request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it",
            }
        },
        4096,
    ),
    (
        "llama.cpp, older",
        500,
        error("the request exceeds the available context size. try increasing the context size"),
        0,
    ),
    (
        "Gemini",
        400,
        [
            error(
                "The input token count (1113812) exceeds the maximum number of tokens allowed (1048576).",
                code=400,
                status="INVALID_ARGUMENT",
            )
        ],
        1_048_576,
    ),
    ("Bedrock", 400, error("Input is too long for requested model."), 0),
    ("Groq", 400, error("Please reduce the length of the messages or completion.", code="context_length_exceeded"), 0),
    (
        "Groq, by the minute",
        429,
        error(
            "Request too large for model `x` on tokens per minute (TPM): Limit 6000, Requested 9123",
            code="rate_limit_exceeded",
        ),
        6000,
    ),
    (
        "xAI",
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        },
        131_072,
    ),
    (
        "LM Studio",
        400,
        {
            "error": "Trying to keep the first 5000 tokens when context the overflows. However, the model is "
            "loaded with context length of only 4096 tokens"
        },
        4096,
    ),
    (
        "SGLang",
        400,
        {
            "object": "error",
            "message": "The input (9000 tokens) is longer than the model's context length (8192 tokens).",
        },
        8192,
    ),
    ("Kimi", 400, error("Invalid request: Your request exceeded model token limit: 262144"), 262_144),
    ("GLM", 400, error("Prompt exceeds max length", code="1261"), 0),
    ("Copilot", 400, error("prompt token count of 135000 exceeds the limit of 128000"), 128_000),
    ("a proxy before it", 413, b"<html><title>413 Request Entity Too Large</title></html>", 0),
]


@pytest.mark.parametrize(("status", "body", "limit"), [one[1:] for one in FULL], ids=[one[0] for one in FULL])
def test_a_conversation_that_is_too_long_is_known_in_every_dialect(status: int, body: Any, limit: int) -> None:
    told = refusal(status, body)
    assert told.cause is Cause.CONTEXT_FULL
    assert told.limit_tokens == limit
    if not isinstance(body, bytes):  # in mid-stream as well
        inner = body[0] if isinstance(body, list) else body
        streamed = said_by(0, inner["error"] if isinstance(inner.get("error"), dict) else inner, {})
        if status != 429 and status != 413:
            assert understood(streamed, base_url="g", model="m").cause is Cause.CONTEXT_FULL


CAUSES: list[tuple[str, int, Any, Cause]] = [
    (
        "a used-up quota",
        429,
        error(
            "You exceeded your current quota, please check your plan and billing details.",
            type="insufficient_quota",
            code="insufficient_quota",
        ),
        Cause.ACCOUNT,
    ),
    (
        "the same through LiteLLM",
        429,
        error(
            "litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your "
            "current quota, please check your plan",
            type="throttling_error",
            code="429",
        ),
        Cause.ACCOUNT,
    ),
    (
        "a budget of LiteLLM",
        429,
        error("Budget has been exceeded! Current cost: 2.0, Max budget: 1.0", type="budget_exceeded", code="429"),
        Cause.ACCOUNT,
    ),
    (
        "the same, as it was before",
        400,
        error("Budget has been exceeded! Current cost: 2.0", type="budget_exceeded"),
        Cause.ACCOUNT,
    ),
    ("no credit", 402, error("This request requires more credits"), Cause.ACCOUNT),
    ("no balance", 400, error("Your credit balance is too low to access the Anthropic API."), Cause.ACCOUNT),
    (
        "Gemini's limit by the minute",
        429,
        [error("You exceeded your current quota. Please retry in 34.07s.", code=429, status="RESOURCE_EXHAUSTED")],
        Cause.BUSY,
    ),
    (
        "a limit by the minute",
        429,
        error(
            "Rate limit reached on tokens per min: Limit 30000, Used 20000, Requested 15000", code="rate_limit_exceeded"
        ),
        Cause.BUSY,
    ),
    ("overloaded", 529, error("Overloaded", type="overloaded_error"), Cause.BUSY),
    (
        "overloaded, told as a fault",
        500,
        error("litellm.InternalServerError: AnthropicException - Overloaded"),
        Cause.BUSY,
    ),
    ("no capacity", 503, b"upstream connect error", Cause.BUSY),
    (
        "the model is not allowed",
        401,
        error(
            "key not allowed to access model. This key can only access models=['a']",
            type="key_model_access_denied",
            param="model",
            code="401",
        ),
        Cause.ACCESS,
    ),
    (
        "the model is not there",
        404,
        error("The model `x` does not exist or you do not have access to it.", code="model_not_found"),
        Cause.ACCESS,
    ),
    ("Ollama has it not", 404, error("model 'x' not found"), Cause.ACCESS),
    (
        "LiteLLM has it not",
        400,
        error("/chat/completions: Invalid model name passed in model=x", code="400"),
        Cause.ACCESS,
    ),
    (
        "not in this country",
        403,
        error("Country, region, or territory not supported", code="unsupported_country_region_territory"),
        Cause.ACCESS,
    ),
    ("the key", 401, error("Authentication Error, Invalid proxy server token passed.", type="auth_error"), Cause.KEY),
    ("forbidden", 403, b"", Cause.KEY),
    ("a fault", 500, error("no luck"), Cause.FAILED),
    ("a proxy's page", 502, b"<html><title>502 Bad Gateway</title></html>", Cause.FAILED),
    ("a parameter", 400, error("Unknown parameter: 'top_k'.", param="top_k"), Cause.REQUEST),
    ("endless", 500, error("litellm.InternalServerError: The model is repeating the same chunk = no."), Cause.REQUEST),
    ("a body of text", 400, b"nope", Cause.REQUEST),
    ("no body", 404, b"", Cause.REQUEST),
    ("FastAPI", 422, {"detail": [{"loc": ["body", "model"], "msg": "field required"}]}, Cause.REQUEST),
]


@pytest.mark.parametrize(("status", "body", "cause"), [one[1:] for one in CAUSES], ids=[one[0] for one in CAUSES])
def test_what_a_refusal_means(status: int, body: Any, cause: Cause) -> None:
    told = refusal(status, body)
    assert told.cause is cause
    assert f"({status})" in told.sentence
    for wrapping in ("litellm.", "Exception - ", "b'", "Error code", "{", "tried again", "\n", ".."):
        assert wrapping not in told.sentence


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"message": "overloaded", "code": 529}, Cause.BUSY),
        ({"message": "Overloaded", "type": "overloaded_error"}, Cause.BUSY),
        ({"message": "Rate limit exceeded", "code": "rate_limit_exceeded"}, Cause.BUSY),
        ({"message": "Internal server error", "type": "api_error"}, Cause.FAILED),
        ({"message": "x", "code": "502"}, Cause.FAILED),
        ({"message": "bad tool", "type": "invalid_request_error"}, Cause.REQUEST),
        ({"message": "You exceeded your current quota", "code": "insufficient_quota"}, Cause.ACCOUNT),
        ("text alone", Cause.FAILED),
        (None, Cause.FAILED),
    ],
)
def test_what_an_error_in_mid_stream_means(body: Any, cause: Cause) -> None:
    assert understood(said_by(0, body, {}), base_url="g", model="m").cause is cause


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("No such thing.", "No such thing"),
        ("First.\n\nSecond.", "First"),
        ("\n\n  Two\n lines", "Two lines"),
        (LITELLM % "tools.0: bad", "tools.0: bad"),
        (
            "litellm.RateLimitError: RateLimitError: XException - Slow down\nmodel=x. context_window_fallbacks=None.",
            "Slow down",
        ),
        (
            "Error code: 400 - {'object': 'error', 'message': \"It's too \\'long\\'. None\", 'code': 400}",
            "It's too 'long'. None",
        ),
        ('litellm.APIError: {"error": {"message": "outer: {\\"message\\": \\"inner\\"}"}}', "inner"),
        (
            "Budget has been exceeded! Key=e7fbc61f8b495ca3d88994cfa0fda7f1 Current cost: 1",
            "Budget has been exceeded! Current cost: 1",
        ),
        ("", ""),
        ("{}", "{}"),
    ],
)
def test_the_words_are_the_gateways_own(message: str, words: str) -> None:
    assert own_words(message) == words


def test_long_words_end_with_a_whole_one() -> None:
    words = own_words("word " * 500)
    assert len(words) <= LONGEST_WORDS + 2
    assert words.endswith("word …")


def test_of_a_providers_words_in_openrouters_box_the_providers_are_shown() -> None:
    body = error("Provider returned error", code=429, metadata={"raw": "x is rate-limited upstream", "headers": {
        "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW.timestamp() * 1000) + 30_000)}})  # fmt: skip
    told = refusal(429, body)
    assert "x is rate-limited upstream" in told.sentence
    assert told.retry_after_seconds == 30.0


@pytest.mark.parametrize(
    ("headers", "words", "seconds"),
    [
        ({"retry-after": "7"}, "", 7.0),
        ({"retry-after": "0.5"}, "", 0.5),
        ({"retry-after": format_datetime(NOW + timedelta(seconds=90), usegmt=True)}, "", 90.0),
        ({"retry-after": (NOW - timedelta(seconds=90)).isoformat()}, "", 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, "", 1.5),
        ({"llm_provider-retry-after": "60"}, "", 60.0),
        ({"retry-after": "5", "llm_provider-retry-after": "60"}, "", 5.0),
        (
            {
                "x-ratelimit-remaining-tokens": "0",
                "x-ratelimit-reset-tokens": "6m0s",
                "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-requests": "9h",
            },
            "",
            360.0,
        ),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(int(NOW.timestamp()) + 45)}, "", 45.0),
        (
            {
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-28T12:00:20Z",
            },
            "",
            20.0,
        ),
        (
            {
                "llm_provider-anthropic-ratelimit-input-tokens-remaining": "0",
                "llm_provider-anthropic-ratelimit-input-tokens-reset": "2026-11-28T12:00:30Z",
            },
            "",
            30.0,
        ),
        ({}, "Please retry in 34.07s.", 34.07),
        ({}, "Please try again in 1m2.5s. Visit", 62.5),
        ({}, "No deployments available for selected model, Try again in 5 seconds.", 5.0),
        ({}, "retryDelay': '34s'", 34.0),
        ({}, "Try again in a moment, 5 models are there", None),
        ({}, "", None),
        ({"retry-after": "soon"}, "", None),
        ({"retry-after": "-4"}, "", None),
        ({"retry-after": "nan"}, "", None),
        ({"retry-after": "99999999"}, "", 7 * 86_400.0),
    ],
)
def test_when_to_ask_again(headers: dict[str, str], words: str, seconds: float | None) -> None:
    assert retry_after(headers, words, now=NOW) == seconds


@pytest.mark.parametrize("ahead", [timedelta(days=-1), timedelta(days=1), timedelta(days=-20_000)])
@pytest.mark.parametrize("how", ["retry-after", "anthropic-ratelimit-requests-reset"])
def test_a_date_is_held_against_the_clock_that_made_it(ahead: timedelta, how: str) -> None:
    """Not against this machine's, which may be a day off: nobody waits for a day, or asks again at once."""
    theirs = datetime.now(UTC).replace(microsecond=0) + ahead
    then = theirs + timedelta(seconds=40)
    headers = {
        "date": format_datetime(theirs, usegmt=True),
        how: format_datetime(then, usegmt=True) if how == "retry-after" else then.isoformat(),
        "anthropic-ratelimit-requests-remaining": "0",
    }
    said = said_by(429, json.dumps(error("slow down")).encode(), headers)
    assert understood(said, base_url="https://g.test/v1", model="m").retry_after_seconds == 40.0


@pytest.mark.parametrize("date", ["", "soon", "Sat, 28 Nov 2026 12:00:00 GMT extra", "28", "\u0660"])
def test_an_answer_without_a_time_is_held_against_this_machine_s(date: str) -> None:
    before = datetime.now(UTC)
    assert their_time({"date": date} if date else {}) >= min(before, NOW)


KEYS = ("error", "message", "code", "type", "metadata", "headers", "raw", "param", "n_ctx", "detail", "loc", "msg")
OBJECTS = st.recursive(
    st.none() | st.text() | st.integers(), lambda one: st.lists(one) | st.dictionaries(st.sampled_from(KEYS), one)
)
BODIES = st.one_of(st.binary(), st.text().map(str.encode), OBJECTS.map(lambda value: json.dumps(value).encode()))


@given(st.integers(0, 599), BODIES, st.dictionaries(st.text(), st.text()))
def test_whatever_is_said_is_one_sentence(status: int, body: bytes, headers: dict[str, str]) -> None:
    told = understood(said_by(status, body, headers), base_url="g", model="m")
    assert "\n" not in told.sentence
    assert len(told.sentence) < LONGEST_WORDS + 300


def test_long_words_are_read_in_no_more_than_their_length() -> None:
    def seconds(number: int) -> float:
        begun = time.process_time()
        for piece in (
            "{'message': '\\",
            "litellm.XError: ",
            "limit: 1 requested: ",
            "retry in 1s",
            "maximum context length ",
            "\n\n",
        ):
            understood(said_by(400, piece * number, {}), base_url="g", model="m")
        return time.process_time() - begun

    assert min(seconds(4000) for _ in range(3)) < 8 * min(seconds(1000) for _ in range(3))
