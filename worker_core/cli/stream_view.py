"""An execution's live stream in the terminal: text as it comes, tool calls as compact blocks."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from worker_core.basics.plain import one_line, plain, width
from worker_core.basics.quick_dataclass import dataclass
from worker_core.cli import screen
from worker_core.cli.conversation import TurnOutcome
from worker_core.cli.facts import MILD, Fact
from worker_core.cli.wrapping import Wrapper

OUTPUT_LINES: Final = 8
_WIDEST_TEXT: Final = 100
_ARGUMENT_LIMIT: Final = 2_000
_BAR: Final = "  │ "
_PLAIN_ID: Final = re.compile(r"[0-9A-Za-z-]+")
_SHORT_ID: Final = 8
"""Characters of a question's id that `approvals` shows, and takes."""


@dataclass(slots=True)
class _Call:
    name: str
    began: float


class StreamView:
    """Draws facts in order, and counts what it saw."""

    def __init__(self, console: Console, *, home: Path | None = None) -> None:
        """`home`: what `KUBIYA_WORKER_HOME` has to be for commands that see the worker; None: it is not known here."""
        self._console = console
        self._home = home
        self._wrapper = Wrapper(min(console.width, _WIDEST_TEXT) if console.is_terminal else None)
        self._message_id = ""
        self._author = ""
        self._calls: dict[str, _Call] = {}
        self._shown_call = ""
        self._blank = True
        self._complained = ""
        self.tools = 0
        self.tools_failed = 0
        self.texts = 0

    def take(self, fact: Fact) -> None:
        match fact.kind:
            case "message":
                self._message(fact)
            case "message_chunk":
                self._chunk(fact)
            case "member_message_chunk":
                self._chunk(fact, author=fact.word("member_name") or "member")
            case "tool_started" | "member_tool_started":
                self._tool_started(fact)
            case "tool_completed" | "member_tool_completed":
                self._tool_completed(fact)
            case "tool_progress":
                self._tool_progress(fact)
            case "approval_requested":
                self._asked(fact)
            case "approval_answered":
                self._answered(fact)
            case "error":
                self._error(fact)
            case _:
                pass

    def note(self, sentence: str) -> None:
        """Something beside the execution itself."""
        self._end_text()
        self._print(screen.text(sentence, "careful"))

    def prompt(self, words: str) -> None:
        """What the user said, where it is not what the user just typed."""
        self._paragraph()
        for line in plain(words).strip().splitlines() or [""]:
            screen.hanging(self._console, Text("› ", style="accent"), Text(line, style="strong"), lead=2)
        self._blank = False

    def end(self, outcome: TurnOutcome) -> None:
        """The last line: how it ended, how long it took, what it used."""
        if outcome.response and not self.texts:
            self._write(outcome.response)
        self._end_text()
        if outcome.failed and outcome.error and outcome.error != self._complained:
            self._paragraph()
            self._print(Text().append(f"{screen.FAILED} ", style="bad").append_text(screen.text(outcome.error)))
        self._paragraph()
        word = {"waiting_for_input": "failed; you can go on" if outcome.failed else "done"}.get(
            outcome.status, outcome.status
        )
        good = outcome.status in {"completed", "waiting_for_input"} and not outcome.failed
        line = Text(f"{screen.OK if good else screen.FAILED} {word}", style="good" if good else "bad")
        line.append_text(Text("".join(f" · {part}" for part in self._summary(outcome)), style="quiet"))
        self._print(line)

    def _summary(self, outcome: TurnOutcome) -> list[str]:
        parts = [screen.duration(outcome.seconds)]
        if self.tools:
            failed = f" ({self.tools_failed} failed)" if self.tools_failed else ""
            parts.append(screen.count(self.tools, "tool call") + failed)
        tokens = tokens_of(outcome.usage)
        if tokens:
            parts.append(screen.count(tokens, "token"))
        if outcome.model:
            parts.append(one_line(outcome.model, 60))
        return parts

    def _message(self, fact: Fact) -> None:
        content = fact.word("content")
        if not content:
            return
        if fact.word("role") == "user":
            self.prompt(content)
            self._message_id = ""
        elif fact.word("role") == "assistant" and fact.word("message_id") != self._message_id:
            self._new_message(fact.word("message_id"), "")
            self._write(content)

    def _chunk(self, fact: Fact, *, author: str = "") -> None:
        content = fact.data.get("content")
        if not isinstance(content, str) or not content:
            return
        message_id = fact.word("message_id")
        if message_id != self._message_id or author != self._author or self._shown_call:
            self._new_message(message_id, author)
        self._write(content)

    def _new_message(self, message_id: str, author: str) -> None:
        self._message_id, self._author, self._shown_call = message_id, author, ""
        self._paragraph()
        if author:
            self._print(screen.text(author, "accent"))

    def _tool_started(self, fact: Fact) -> None:
        self._paragraph()
        call_id, name = fact.word("tool_execution_id"), one_line(fact.word("tool_name") or "tool", 60)
        self._calls[call_id] = _Call(name, time.monotonic())
        self._shown_call = call_id
        self.tools += 1
        self._print(self._head(name, _arguments(fact.data.get("tool_arguments"))))

    def _head(self, name: str, arguments: str) -> Text:
        line = Text().append(f"{screen.RUNNING} ", style="accent").append(name, style="strong")
        if arguments:
            room = max(8, self._console.width - width(name) - 4)
            line.append("  ").append(_clip(arguments, room), style="quiet")
        return line

    def _tool_completed(self, fact: Fact) -> None:
        self._end_text()
        call_id = fact.word("tool_execution_id")
        call = self._calls.pop(call_id, None)
        name = call.name if call else one_line(fact.word("tool_name") or "tool", 60)
        if call is None:  # answered from the worker's journal: it ran before
            self.tools += 1
        if self._shown_call != call_id:
            self._paragraph()
            self._print(Text().append(f"{screen.RUNNING} ", style="accent").append(name, style="strong"))
        self._shown_call = call_id
        good = fact.word("status") != "failed"
        self.tools_failed += not good
        self._output(fact.word("tool_output"), end=not good)
        seconds = _seconds(fact.data.get("duration_ms"), call)
        line = Text(f"  {screen.OK if good else screen.FAILED}", style="good" if good else "bad")
        if error := fact.word("tool_error"):
            line.append(" ").append(_clip(one_line(error, 500), max(20, self._console.width - 14)))
        if seconds is not None:
            line.append(f" {'· ' if error else ''}{screen.duration(seconds)}", style="quiet")
        self._print(line)

    def _tool_progress(self, fact: Fact) -> None:
        """Of a call that takes long: what it is at."""
        if fact.word("tool_execution_id") == self._shown_call and (said := fact.word("message")):
            room = max(10, self._console.width - len(_BAR) - 2)
            self._end_text()
            self._print(Text().append(f"{_BAR}… {_clip(one_line(said, 500), room)}", style="quiet"))

    def _output(self, output: str, *, end: bool) -> None:
        """The first lines; of a call that failed, the last ones: there stands why."""
        lines = plain(output).expandtabs(4).rstrip().splitlines()
        room = max(10, self._console.width - len(_BAR))
        # One line more is shown rather than a line which says that it is left out.
        left_out = len(lines) - OUTPUT_LINES if len(lines) > OUTPUT_LINES + 1 else 0
        shown = (lines[left_out:] if end else lines[: len(lines) - left_out]) if left_out else lines
        note = Text(f"{_BAR}… {screen.count(left_out, 'more line')}", style="quiet")
        if left_out and end:
            self._print(note)
        for line in shown:
            self._print(Text().append(_BAR, style="quiet").append(_clip(line, room)))
        if left_out and not end:
            self._print(note)

    def _asked(self, fact: Fact) -> None:
        """It stands still until somebody answers, who has to know that, and how."""
        self._paragraph()
        name, approval_id = one_line(fact.word("tool_name"), 60), fact.word("approval_id")[:_SHORT_ID]
        which = f" allow {approval_id}, or deny," if _PLAIN_ID.fullmatch(approval_id) else ""  # somebody will type it
        about = _reason(fact.data.get("parts")) or fact.word("message")
        line = Text().append("? ", style="careful").append(f"{name or 'tool'} waits for an answer", style="strong")
        screen.hanging(self._console, line.append("  "), screen.text(one_line(about, 500)), lead=2)
        command = f"kubiya-worker approvals{which}"
        if self._home is None:
            how = f"{command} where its worker runs"
        else:
            how = f"KUBIYA_WORKER_HOME={shlex.quote(str(self._home))} {command} in another terminal"
        self._print(Text(f"  answer it: {how}", style="quiet"))
        self._blank, self._shown_call = False, ""

    def _answered(self, fact: Fact) -> None:
        self._end_text()
        answer = {"allow": "allowed", "deny": "denied", "timeout": "nobody answered"}.get(fact.word("answer"))
        if answer is None:
            return
        good = answer == "allowed"
        line = Text(f"  {screen.OK if good else screen.FAILED} {answer}", style="good" if good else "bad")
        if by := one_line(fact.word("by"), 60):
            line.append(f" · {by}", style="quiet")
        self._print(line)

    def _error(self, fact: Fact) -> None:
        sentence = fact.error or "The execution reported an error without words."
        if sentence == self._complained:
            return
        severity = fact.word("severity")
        if severity not in MILD:
            self._complained = sentence
        self._paragraph()
        style = "careful" if severity in MILD else "bad"
        mark = "!" if severity in MILD else screen.FAILED
        self._print(Text().append(f"{mark} ", style=style).append_text(screen.text(sentence)))

    def _write(self, content: str) -> None:
        self.texts += 1
        if piece := self._wrapper.feed(plain(content)):
            self._blank = False
            self._console.file.write(piece)
            self._console.file.flush()

    def _end_text(self) -> None:
        in_line = self._wrapper.in_line
        rest = self._wrapper.flush()
        if in_line:
            self._console.file.write(rest + "\n")
        self._wrapper.line_ended()

    def _paragraph(self) -> None:
        """Begin a new block, one empty line below the one before."""
        self._end_text()
        if not self._blank:
            self._console.print()
            self._blank = True

    def _print(self, line: Text) -> None:
        self._console.print(line, soft_wrap=True)
        self._console.file.flush()
        self._blank = False


class JsonView:
    """One JSON object a line: each event as it comes, then the result.

    Args:
        artefacts: the files of an execution's workspace; None where another machine has it.

    """

    def __init__(self, *, artefacts: Callable[[str], list[dict[str, Any]] | None] = lambda _: None) -> None:
        self._artefacts = artefacts

    def take(self, fact: Fact) -> None:
        screen.say_json({"event": fact.kind, "id": fact.id or None, "data": fact.data})

    def note(self, sentence: str) -> None:
        screen.say_json({"event": "note", "data": {"message": sentence}})

    def end(self, outcome: TurnOutcome) -> None:
        screen.say_json(
            {
                "event": "result",
                "execution_id": outcome.execution_id,
                "status": outcome.status,
                "response": outcome.response,
                "error": outcome.error or None,
                "usage": outcome.usage,
                "model": outcome.model or None,
                "seconds": round(outcome.seconds, 3),
                "exit_code": int(outcome.exit_code),
                "artefacts": self._artefacts(outcome.execution_id),
            }
        )


def tokens_of(usage: Mapping[str, Any]) -> int:
    """All tokens of an execution; 0 where the server does not say."""
    total = usage.get("total_tokens")
    return total if isinstance(total, int) else 0


def _reason(parts: object) -> str:
    """The first part of a question that says why it is asked."""
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, Mapping) and part.get("kind") == "reason" and isinstance(text := part.get("text"), str):
            return text
    return ""


def _arguments(arguments: object) -> str:
    """On one line: the value alone where there is one, `name=value` pairs otherwise."""
    if not isinstance(arguments, Mapping):
        return ""
    if len(arguments) == 1:
        [value] = arguments.values()
        if isinstance(value, str):
            return one_line(value, _ARGUMENT_LIMIT)
    pairs = (f"{key}={json.dumps(value, ensure_ascii=False, default=str)}" for key, value in arguments.items())
    return one_line(" ".join(pairs), _ARGUMENT_LIMIT)


def _clip(text: str, room: int) -> str:
    """At most `room` columns."""
    if width(text) <= room:
        return text
    kept, used = [], 0
    for character in text:
        used += width(character)
        if used > room - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _seconds(milliseconds: object, call: _Call | None) -> float | None:
    if isinstance(milliseconds, int | float):
        return milliseconds / 1000
    return time.monotonic() - call.began if call else None
