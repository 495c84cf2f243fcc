"""How servers stream the same few answers: each dialect with what the loop must see.

Chunks are what stands behind `data:`. Names in brackets say where a manner was seen; the words are ours.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from worker_core.model.answer import Usage

TOOLS = ("shell", "python", "read_file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`kept`: fields of a call that its server repeats with every piece."""

    name: str
    chunks: tuple[Any, ...]
    content: str = ""
    calls: tuple[tuple[str, str, str], ...] = ()
    """(id, name, arguments)"""

    finish_reason: str = "stop"
    reasoned: bool = False
    refused: bool = False
    usage: Usage = field(default_factory=Usage)
    opaque: dict[str, Any] = field(default_factory=dict)
    opaque_of_calls: tuple[dict[str, Any], ...] = ()
    kept: tuple[str, ...] = ("index",)


def choice(delta: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        **more,
    }


def text(content: Any, finish: str | None = None, **more: Any) -> dict[str, Any]:
    return choice({"content": content}, finish, **more)


def call(index: int | str | None, call_id: str | None, name: str | None, arguments: Any, **more: Any) -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    part: dict[str, Any] = {"function": function, **more}
    if index is not None:
        part["index"] = index
    if call_id is not None:
        part["id"] = call_id
    return part


def calls(*parts: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return choice({"tool_calls": list(parts)}, finish)


END = choice({}, "stop")
END_CALLS = choice({}, "tool_calls")
LS = '{"command": "ls"}'
PWD = '{"command": "pwd"}'
BOTH = (("c1", "shell", LS), ("c2", "shell", PWD))

DIALECTS = (
    Dialect(
        name="OpenAI: text, usage behind the end",
        chunks=(
            choice({"role": "assistant", "content": "", "refusal": None}),
            text("Hel"),
            text("lo"),
            END,
            {
                "choices": [],
                "model": "m",
                "usage": {
                    "prompt_tokens": 7,
                    "completion_tokens": 3,
                    "total_tokens": 10,
                    "prompt_tokens_details": {"cached_tokens": 4},
                },
            },
        ),
        content="Hello",
        usage=Usage(prompt_tokens=7, completion_tokens=3, total_tokens=10, cached_tokens=4),
    ),
    Dialect(
        name="OpenAI: calls side by side, their pieces in turns",
        chunks=(
            text("I look."),
            calls(call(0, "c1", "shell", "")),
            calls(call(1, "c2", "shell", "")),
            calls(call(0, None, None, '{"command":')),
            calls(call(1, None, None, '{"command": "pwd"}')),
            calls(call(0, None, None, ' "ls"}')),
            END_CALLS,
        ),
        content="I look.",
        calls=(("c1", "shell", LS), ("c2", "shell", PWD)),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="Ollama, Gemini's endpoint, Dynamo: each call has the number 0, and an id of its own",
        chunks=(calls(call(0, "c1", "shell", LS)), calls(call(0, "c2", "shell", PWD)), END_CALLS),
        calls=BOTH,
        finish_reason="tool_calls",
    ),
    Dialect(
        name="the number 0 for both, both in one chunk",
        chunks=(calls(call(0, "c1", "shell", LS), call(0, "c2", "shell", PWD)), END_CALLS),
        calls=BOTH,
        finish_reason="tool_calls",
        kept=("index", "id"),
    ),
    Dialect(
        name="the number 0 for both, and no ids",
        chunks=(calls(call(0, None, "shell", LS)), calls(call(0, None, "python", PWD)), END_CALLS),
        calls=(("", "shell", LS), ("", "python", PWD)),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="older Ollama: no numbers, ids",
        chunks=(calls(call(None, "c1", "shell", LS)), calls(call(None, "c2", "shell", PWD)), END_CALLS),
        calls=BOTH,
        finish_reason="tool_calls",
        kept=("id",),
    ),
    Dialect(
        name="neither numbers nor ids: by place",
        chunks=(calls(call(None, None, "shell", LS), call(None, None, "shell", PWD)), END_CALLS),
        calls=(("", "shell", LS), ("", "shell", PWD)),
        finish_reason="tool_calls",
        kept=(),
    ),
    Dialect(
        name="neither numbers nor ids: one after the other",
        chunks=(calls(call(None, None, "shell", LS)), calls(call(None, None, "python", PWD)), END_CALLS),
        calls=(("", "shell", LS), ("", "python", PWD)),
        finish_reason="tool_calls",
        kept=(),
    ),
    Dialect(
        name="numbers as texts, from 1",
        chunks=(calls(call("1", "c1", "shell", LS)), calls(call("2", "c2", "shell", PWD))),
        calls=BOTH,
        finish_reason="",
    ),
    Dialect(
        name="MiniMax and others: the name with each piece",
        chunks=(
            calls(call(0, "c1", "shell", '{"command"')),
            calls(call(0, "c1", "shell", ': "ls"}')),
            calls(call(0, "c1", "shell", "")),
            END_CALLS,
        ),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
        kept=("index", "id", "name"),
    ),
    Dialect(
        name="the name in pieces, and late",
        chunks=(
            calls(call(0, "c1", None, "")),
            calls(call(0, None, "read_", None)),
            calls(call(0, None, "file", None)),
            calls(call(0, None, None, '{"path": "a"}')),
            END_CALLS,
        ),
        calls=(("c1", "read_file", '{"path": "a"}'),),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="older vLLM: another id with each piece",
        chunks=(calls(call(0, "c1", "shell", "")), calls(call(0, "c9", None, LS)), END_CALLS),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="the same id for two calls",
        chunks=(calls(call(0, "c1", "shell", LS)), calls(call(1, "c1", "shell", PWD)), END_CALLS),
        calls=(("c1", "shell", LS), ("c1", "shell", PWD)),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="arguments as an object",
        chunks=(calls(call(0, "c1", "shell", {"command": "ls"})), END_CALLS),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="no arguments in four spellings",
        chunks=(
            calls(call(0, "a", "shell", None)),
            calls(call(1, "b", "shell", "")),
            calls(call(2, "c", "shell", "null")),
            calls(call(3, "d", "shell", "{}")),
            END_CALLS,
        ),
        calls=tuple((one, "shell", "{}") for one in "abcd"),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="an object in a text of its own",
        chunks=(calls(call(0, "c1", "shell", '"{\\"command\\": \\"ls\\"}"')), END_CALLS),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="gpt-oss: a token of its own format in the name",
        chunks=(calls(call(0, "c1", "shell<|channel|>commentary", LS)), END_CALLS),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="OpenAI's older form: function_call",
        chunks=(
            choice({"function_call": {"name": "shell", "arguments": '{"command":'}}),
            choice({"function_call": {"arguments": ' "ls"}'}}),
            choice({}, "function_call"),
        ),
        calls=(("", "shell", LS),),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="a tool of OpenAI's custom kind",
        chunks=(
            calls({"index": 0, "id": "c1", "type": "custom", "custom": {"name": "python", "input": "1 + 1"}}),
            END_CALLS,
        ),
        calls=(("c1", "python", "1 + 1"),),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="Azure: remarks of the asynchronous filter",
        chunks=(
            {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]},
            text("Hel"),
            {
                "choices": [
                    {"index": 0, "finish_reason": None, "content_filter_results": {}, "content_filter_offsets": {}}
                ]
            },
            text("lo"),
            {"choices": [{"index": 0, "delta": None, "finish_reason": "stop"}]},
        ),
        content="Hello",
    ),
    Dialect(
        name="a second choice",
        chunks=(
            {"choices": [{"index": 0, "delta": {"content": "Hel"}}, {"index": 1, "delta": {"content": "Other"}}]},
            {"choices": [{"index": 1, "delta": {"content": "wise"}, "finish_reason": "stop"}]},
            text("lo", "stop"),
        ),
        content="Hello",
    ),
    Dialect(
        name="nulls wherever one may stand",
        chunks=(
            {"id": None, "model": None, "choices": None, "usage": None},
            choice(
                {"role": None, "content": None, "tool_calls": None, "function_call": None, "reasoning_content": None}
            ),
            text("Hello"),
            {"choices": [{"delta": {}, "finish_reason": "stop", "usage": None}], "error": None},
        ),
        content="Hello",
    ),
    Dialect(
        name="one document instead of a stream",
        chunks=(
            {
                "object": "chat.completion",
                "model": "m",
                "choices": [
                    {
                        "index": 0,
                        "message": {
                            "role": "assistant",
                            "content": "Hello",
                            "tool_calls": [call(None, "c1", "shell", LS)],
                        },
                        "finish_reason": "tool_calls",
                    }
                ],
                "usage": {"prompt_tokens": 2, "completion_tokens": 1},
            },
        ),
        content="Hello",
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
        usage=Usage(prompt_tokens=2, completion_tokens=1, total_tokens=3),
        kept=("id",),
    ),
    Dialect(
        name="Mistral: content in parts, thinking among them",
        chunks=(
            text([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]),
            text([{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]),
            END,
        ),
        content="Hello",
        reasoned=True,
    ),
    Dialect(
        name="a local server that reads no reasoning: <think> in the text",
        chunks=(text("\n<thi"), text("nk>first I"), text(" think</th"), text("ink>\n\nHel"), text("lo"), END),
        content="Hello",
        reasoned=True,
    ),
    Dialect(
        name="a text that only begins like it",
        chunks=(text("<thi"), text("s> is no thought"), END),
        content="<this> is no thought",
    ),
    Dialect(
        name="nothing but a thought, in the text",
        chunks=(text("<think>hm"), choice({}, "length")),
        finish_reason="length",
        reasoned=True,
    ),
    Dialect(
        name="DeepSeek, vLLM, llama.cpp: reasoning_content",
        chunks=(
            choice({"reasoning_content": "I th"}),
            choice({"reasoning_content": "ink", "content": None}),
            calls(call(0, "c1", "shell", LS)),
            END_CALLS,
        ),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
        reasoned=True,
        opaque={"reasoning_content": "I think"},
    ),
    Dialect(
        name="DeepSeek: an empty one must come back as well",
        chunks=(choice({"reasoning_content": ""}), calls(call(0, "c1", "shell", LS)), END_CALLS),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
        opaque={"reasoning_content": ""},
    ),
    Dialect(
        name="Claude through LiteLLM: thinking blocks without numbers, signed",
        chunks=(
            choice({"reasoning_content": "one", "thinking_blocks": [{"type": "thinking", "thinking": "one"}]}),
            choice(
                {"reasoning_content": "", "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s1"}]}
            ),
            choice({"thinking_blocks": [{"type": "redacted_thinking", "data": "x"}]}),
            choice({"thinking_blocks": [{"type": "thinking", "thinking": "two"}]}),
            choice({"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s2"}]}),
            calls(call(0, "c1", "shell", LS)),
            END_CALLS,
        ),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
        reasoned=True,
        opaque={
            "reasoning_content": "one",
            "thinking_blocks": [
                {"type": "thinking", "thinking": "one", "signature": "s1"},
                {"type": "redacted_thinking", "data": "x"},
                {"type": "thinking", "thinking": "two", "signature": "s2"},
            ],
        },
    ),
    Dialect(
        name="OpenRouter: reasoning_details with numbers",
        chunks=(
            choice({"reasoning": "a", "reasoning_details": [{"type": "reasoning.text", "text": "a", "index": 0}]}),
            choice({"reasoning": "b", "reasoning_details": [{"type": "reasoning.text", "text": "b", "index": 0}]}),
            choice({"reasoning_details": [{"type": "reasoning.text", "signature": "s", "index": 0}]}),
            choice({"reasoning_details": [{"type": "reasoning.encrypted", "data": "e", "index": 1, "id": "r"}]}),
            calls(call(0, "c1", "shell", LS)),
            END_CALLS,
        ),
        calls=(("c1", "shell", LS),),
        finish_reason="tool_calls",
        reasoned=True,
        opaque={
            "reasoning": "ab",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "ab", "index": 0, "signature": "s"},
                {"type": "reasoning.encrypted", "data": "e", "index": 1, "id": "r"},
            ],
        },
    ),
    Dialect(
        name="Gemini: the signature of a thought beside the call, and LiteLLM's box for it",
        chunks=(
            calls(call(0, "c1", "shell", LS, extra_content={"google": {"thought_signature": "s1"}})),
            calls(
                {
                    "index": 1,
                    "id": "c2",
                    "function": {
                        "name": "shell",
                        "arguments": PWD,
                        "provider_specific_fields": {"thought_signature": "s2"},
                    },
                }
            ),
            END_CALLS,
        ),
        calls=BOTH,
        finish_reason="tool_calls",
        opaque_of_calls=(
            {"extra_content": {"google": {"thought_signature": "s1"}}},
            {"function": {"provider_specific_fields": {"thought_signature": "s2"}}},
        ),
    ),
    Dialect(
        name="halves of a character in two chunks, and one that stays alone",
        chunks=(text("a\ud83d"), text("\ude00b"), text("\ud83d"), text("c"), text("\ude00"), text("\ud83d"), END),
        content="a\U0001f600b\ufffdc\ufffd\ufffd",
    ),
    Dialect(
        name="halves of a character in a call",
        chunks=(
            calls(call(0, "c1", "shell", '{"command": "\ud83d')),
            calls(call(0, None, None, '\ude00"}')),
            END_CALLS,
        ),
        calls=(("c1", "shell", '{"command": "\U0001f600"}'),),
        finish_reason="tool_calls",
    ),
    Dialect(
        name="a refusal is what is said",
        chunks=(choice({"refusal": "I can"}), choice({"refusal": "not."}), END),
        content="I cannot.",
        refused=True,
    ),
    Dialect(
        name="other words for the end",
        chunks=(text("Hel"), choice({}, "MAX_TOKENS")),
        content="Hel",
        finish_reason="length",
    ),
    Dialect(
        name="costs and cache writes",
        chunks=(
            text("Hi", "end_turn"),
            {
                "choices": [],
                "usage": {
                    "prompt_tokens": 100,
                    "completion_tokens": 5,
                    "total_tokens": 105,
                    "cost": 0.0125,
                    "prompt_tokens_details": {"cached_tokens": 40, "cache_creation_tokens": 30},
                },
            },
        ),
        content="Hi",
        usage=Usage(
            prompt_tokens=100,
            completion_tokens=5,
            total_tokens=105,
            cached_tokens=40,
            cache_creation_tokens=30,
            cost=0.0125,
        ),
    ),
    Dialect(
        name="usage in the choice (Moonshot), in a box (Groq), of the wrong kind",
        chunks=(
            {"choices": [{"delta": {"content": "Hi"}, "usage": {"prompt_tokens": 3, "completion_tokens": 1}}]},
            {"choices": [], "x_groq": {"usage": {"prompt_tokens": 4.0, "completion_tokens": 2, "total_tokens": None}}},
            {"choices": [], "usage": "none", "x_groq": "none"},
            END,
        ),
        content="Hi",
        usage=Usage(prompt_tokens=4, completion_tokens=2, total_tokens=6),
    ),
)
