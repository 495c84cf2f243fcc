"""What the scripted model says: directives of a user message, turned into a list of responses.

Directives stand at the beginning of a line of the newest user message (several user messages in a row count as
one); other lines are ignored once there is a directive. One response = one model call:

    !tool NAME {"argument": ...}   a response that calls this tool; several lines are several responses
    !parallel                      the `!tool` lines that follow at once go into one response
    !say TEXT                      text: before the next tool call, or in the last response
    !history                       text: how many user messages the model saw, and each of them
    !stream N DELAY_MS             text: N words (at most 20 000) with a pause after each
    !instant                       text: `ok`, in one chunk
    !hang SECONDS                  the next response begins that much later
    !error CODE [RETRY_AFTER] [times=K]
                                   the next response is refused with this status (and `Retry-After` seconds);
                                   the first K attempts, or all of them
    !break N [times=K]             the connection of the next response breaks off after N chunks; likewise

The last response has no tool call: it is the text that is left, or a summary that quotes the tools' outputs. A
message without directives gets the demonstration: say what this is, run `shell`, write a file, sum up, as far as
such tools are offered. Attempts are counted per conversation (the `metadata` and `user` of the request and all
user messages), so tests that share a playground put something unique into their prompts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any, Final

from worker_core.basics.quick_dataclass import dataclass

Message = Mapping[str, Any]

GREETING: Final = (
    "I am the scripted model of the Kubiya playground: a fixed script, not a language model. "
    "You asked: “{prompt}”. {plan}"
)
_PLAN_TOOLS: Final = "To show how an agent works here, I will run a shell command and then write a file."
_PLAN_NONE: Final = "I was offered no tools that I know, so this is all I do."
_SHELL: Final = "echo Hello from the Kubiya playground"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedCall:
    """One tool call; `arguments` is JSON text, as the model would send it (valid or not)."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedFailure:
    """A response that does not come whole. `times` None: every time."""

    status: int = 0
    retry_after: str | None = None
    after_chunks: int = 0
    times: int | None = None


@dataclass(slots=True, kw_only=True)
class ScriptedStep:
    """One response of the model."""

    chunks: list[str] = field(default_factory=list)
    delay_ms: float = 0
    calls: list[ScriptedCall] = field(default_factory=list)
    hang_seconds: float = 0
    failure: ScriptedFailure | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """Where a conversation stands: the newest user text, what was answered since, what all users said."""

    text: str
    step: int
    outputs: Sequence[str]
    user_messages: Sequence[str]

    @classmethod
    def of(cls, messages: Sequence[Message]) -> Situation:
        messages = [message for message in messages if not _is_note(message)]
        texts = [text_of(message) for message in messages if message.get("role") == "user"]
        newest = [index for index, message in enumerate(messages) if message.get("role") == "user"]
        last = newest[-1] if newest else -1
        block: list[str] = []
        for message in reversed(messages[: last + 1]):
            if message.get("role") != "user":
                break
            block.insert(0, text_of(message))
        since = messages[last + 1 :]
        return cls(
            text="\n".join(block),
            step=sum(message.get("role") == "assistant" for message in since),
            outputs=[text_of(message) for message in since if message.get("role") == "tool"],
            user_messages=texts,
        )


def _is_note(message: Message) -> bool:
    """What the worker tells the model between its steps, in brackets: nothing that somebody asks."""
    text = text_of(message)
    return message.get("role") == "user" and text.startswith("[") and text.endswith("]") and "\n" not in text


def text_of(message: Message) -> str:
    """The text of a message whose content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def respond(messages: Sequence[Message], tools: Sequence[Mapping[str, Any]]) -> ScriptedStep:
    """The next response of the conversation."""
    situation = Situation.of(messages)
    steps = parse(situation) or demonstration(situation, tools)
    return steps[min(situation.step, len(steps) - 1)]


def parse(situation: Situation) -> list[ScriptedStep] | None:
    """The responses that the directives ask for; None where there are none."""
    lines = [line.strip() for line in situation.text.splitlines()]
    directives = [line for line in lines if _word(line) in _DIRECTIVES]
    if not directives:
        return None
    steps: list[ScriptedStep] = []
    current, gathering = ScriptedStep(), False
    for line in directives:
        word, _, rest = line.partition(" ")
        rest = rest.strip()
        if word != "!tool" and gathering and current.calls:
            steps.append(current)
            current, gathering = ScriptedStep(), False
        match word:
            case "!parallel":
                gathering = True
                if rest.startswith("!tool "):
                    current.calls.append(_call(rest.removeprefix("!tool ")))
            case "!tool":
                current.calls.append(_call(rest))
                if not gathering:
                    steps.append(current)
                    current = ScriptedStep()
            case "!say":
                current.chunks += words(rest)
            case "!history":
                current.chunks += words(_history(situation))
            case "!instant":
                current.chunks.append("ok")
            case "!stream":
                count, delay = _numbers(rest, 1, 0)
                current.chunks += [f"word{number} " for number in range(1, min(int(count), 20_000) + 1)]
                current.delay_ms = delay
            case "!hang":
                current.hang_seconds = _numbers(rest, 1)[0]
            case "!error" | "!break":
                current.failure = _failure(word, rest)
    if current.calls:
        steps.append(current)
        current = ScriptedStep()
    if not current.chunks:
        current.chunks = words(_summary(situation.outputs))
    return [*steps, current]


def demonstration(situation: Situation, tools: Sequence[Mapping[str, Any]]) -> list[ScriptedStep]:
    """What an ordinary prompt gets."""
    shell = _find(tools, exact=("shell",), part="shell", argument=("command", "cmd"))
    write = _find(tools, exact=("write_file", "save_file"), part="write", argument=("path", "file_name", "filename"))
    prompt = " ".join(situation.text.split())
    greeting = GREETING.format(
        prompt=prompt if len(prompt) <= 200 else prompt[:200] + "…",
        plan=_PLAN_TOOLS if shell and write else _PLAN_NONE if not (shell or write) else "I will use my one tool.",
    )
    steps: list[ScriptedStep] = []
    if shell:
        steps.append(ScriptedStep(calls=[ScriptedCall(name=shell[0], arguments=json.dumps({shell[1]: _SHELL}))]))
    if write:
        heard = situation.outputs[0].strip() if shell and situation.outputs else "no command was run"
        content = f"Asked: {prompt}\nThe shell said: {heard}\n"
        arguments = {write[1]: f"playground-{len(situation.user_messages)}.txt", write[2]: content}
        steps.append(ScriptedStep(calls=[ScriptedCall(name=write[0], arguments=json.dumps(arguments))]))
    steps.append(ScriptedStep(chunks=words(_summary(situation.outputs)) if steps else []))
    steps[0].chunks = words(greeting)
    for step in steps:
        step.delay_ms = 12
    return steps


def words(text: str) -> list[str]:
    """`text` in chunks of one word each; joined they are `text`."""
    pieces = text.split(" ")
    return [piece for piece in [*(f"{word} " for word in pieces[:-1]), pieces[-1]] if piece]


def _summary(outputs: Sequence[str]) -> str:
    if not outputs:
        return "Done; no tool was called."
    quoted = [" ".join(output.split())[:300] for output in outputs]
    lines = [f"{number}. “{text}”" for number, text in enumerate(quoted, 1)]
    return "Done. The tools answered:\n" + "\n".join(lines)


def _history(situation: Situation) -> str:
    lines = [f"{number}. {text}" for number, text in enumerate(situation.user_messages, 1)]
    return f"I have seen {len(lines)} user messages:\n" + "\n".join(lines)


def _find(
    tools: Sequence[Mapping[str, Any]], *, exact: Sequence[str], part: str, argument: Sequence[str]
) -> tuple[str, str, str] | None:
    """(tool, its main argument, its content argument) of the tool that fits best."""
    functions = [tool.get("function", tool) for tool in tools]
    named = [item for name in exact for item in functions if item.get("name") == name]
    named += [item for item in functions if part in str(item.get("name", ""))]
    for item in named:
        properties = (item.get("parameters") or {}).get("properties") or {}
        for name in argument:
            if name in properties:
                contents = [key for key in ("content", "contents", "text") if key in properties]
                return str(item["name"]), name, contents[0] if contents else "content"
    return None


def _call(rest: str) -> ScriptedCall:
    name, _, arguments = rest.strip().partition(" ")
    return ScriptedCall(name=name, arguments=arguments.strip() or "{}")


def _failure(word: str, rest: str) -> ScriptedFailure:
    times: int | None = None
    plain: list[str] = []
    for part in rest.split():
        if part.startswith("times="):
            times = int(_numbers(part.removeprefix("times="), 1)[0])
        else:
            plain.append(part)
    number = int(_numbers(" ".join(plain[:1]), 500 if word == "!error" else 1)[0])
    if word == "!break":
        return ScriptedFailure(after_chunks=number, times=times)
    return ScriptedFailure(status=number if 400 <= number <= 599 else 500, times=times,
                   retry_after=plain[1] if len(plain) > 1 else None)  # fmt: skip


def _numbers(text: str, *defaults: float) -> list[float]:
    parts = text.split()
    result: list[float] = []
    for index, default in enumerate(defaults):
        try:
            value = float(parts[index])
        except (IndexError, ValueError):
            value = default
        result.append(default if math.isnan(value) else min(max(value, 0), 1_000_000))
    return result


def _word(line: str) -> str:
    return line.split(" ", 1)[0]


_DIRECTIVES: Final = frozenset(
    {"!tool", "!parallel", "!say", "!history", "!stream", "!instant", "!hang", "!error", "!break"}
)
