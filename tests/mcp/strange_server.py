"""A server that answers in ways that no SDK would: `python strange_server.py [TOOLS [MANNERS]]`; a message is a line.

Each tool is named after what it does. `TOOLS` is how many more there are in its list. `MANNERS` says what it does with
a method that it does not know: `answers` with an error, `silent`, or `dies`; or it `shouts` where it is greeted, or
`leaves` where it is asked what it has. It notes in `asked.txt` what it is asked.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

RESULT: dict[str, Any] = {"content": [{"type": "text", "text": "fine"}]}
TOOLS: list[Any] = [
    {"name": "half", "description": "Says half a character.", "inputSchema": {"type": "object"}},
    {"name": "broken", "inputSchema": {"type": "object"}},
    {"name": "odd", "inputSchema": {"type": "object"}},
    {"name": "deep", "inputSchema": {"type": "object"}},
    {"name": "long", "inputSchema": {"type": "object"}},
    {"name": "progress", "inputSchema": {"type": "object"}},
    {"name": "errors", "inputSchema": {"type": "object"}},
    {"name": "nonsense", "inputSchema": {"type": "object"}},
    {"name": "asks", "inputSchema": {"type": "object"}},
    {"name": "opens", "inputSchema": {"type": "object"}},
    {"name": "changed", "inputSchema": {"type": "object"}},
    {"name": "parts", "inputSchema": {"type": "object"}},
    {"name": "fine", "inputSchema": {"type": "object"}},
    {
        "name": "promised",
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"}}},
    },
    # None of these is as it should be.
    {"name": "without"},
    {"name": "null", "inputSchema": None},
    {"name": "required", "inputSchema": {"type": "object", "required": None}},
    {"name": "inside", "inputSchema": {"type": "object", "properties": {"required": ["a"]}}},
    {"name": 5, "inputSchema": {"type": "object"}},
    {"name": "description", "description": 7, "inputSchema": {"type": "object"}},
    "no tool at all",
]


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def answer(request_id: Any, result: Any) -> None:
    say(json.dumps({"jsonrpc": "2.0", "id": request_id, "result": result}))


def call(request_id: Any, params: dict[str, Any]) -> None:
    name, number = params["name"], int((params.get("arguments") or {}).get("number", 1))
    match name:
        case "half":
            answer(request_id, {"content": [{"type": "text", "text": "smile \ud83d\ude00 and half \ud83d."}]})
        case "broken":
            say(f'{{"jsonrpc": "2.0", "id": {request_id}, "result": {{"content": [')
        case "odd":
            answer(request_id, {"content": [{"type": "nothing that is known"}]})
        case "deep":
            say(f'{{"jsonrpc":"2.0","id":{request_id},"result":{{"content":[],"a":{"[" * 3000}{"]" * 3000}}}}}')
        case "long":
            answer(request_id, {"content": [{"type": "text", "text": "x" * number}]})
        case "parts":
            answer(request_id, {"content": [{"type": "text", "text": "."}] * number})
        case "progress":
            token = params["_meta"]["progressToken"]
            for step in range(number):
                about = {"progressToken": token, "progress": step, "total": number, "message": "working"}
                say(json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": about}))
            answer(request_id, RESULT)
        case "errors":
            for _ in range(number):
                sys.stderr.write("something is wrong here, and here it is said\n" * 1000)
            sys.stderr.flush()
            answer(request_id, RESULT)
        case "asks" | "opens":
            form = {
                "message": "What is your name?",
                "requestedSchema": {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]},
            }
            url = {"mode": "url", "message": "Sign in", "url": "https://id.example.com/x?y=1", "elicitationId": "e1"}
            asked = {"id": "q1", "method": "elicitation/create", "params": form if name == "asks" else url}
            say(json.dumps({"jsonrpc": "2.0", **asked}))
            said = json.loads(sys.stdin.readline())
            answer(request_id, {"content": [{"type": "text", "text": json.dumps(said.get("result"))}]})
        case "changed":
            say(json.dumps({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}))
            answer(request_id, RESULT)
        case "nonsense":
            for _ in range(number):
                say("{nonsense")
            answer(request_id, RESULT)
        case _:
            answer(request_id, RESULT)


def main() -> None:
    more = [
        {"name": f"more-{number}", "description": "x" * 200, "inputSchema": {"type": "object"}}
        for number in range(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    ]
    manners = sys.argv[2] if len(sys.argv) > 2 else "answers"
    for line in sys.stdin:
        message = json.loads(line)
        with Path("asked.txt").open("a") as file:
            file.write(f"{message.get('method')}\n")
        match message.get("method"):
            case "initialize" if manners == "shouts":
                say("x" * 3_000_000)
            case "tools/list" if manners == "leaves":
                sys.exit(7)
            case "initialize":
                about = {"name": "strange", "version": "1"}
                answer(message["id"], {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": about})
            case "tools/list":
                answer(message["id"], {"tools": [*TOOLS, *more], "nextCursor": None})
            case "tools/call":
                call(message["id"], message["params"])
            case unknown if "id" in message and manners != "silent":
                if manners == "dies":
                    sys.exit("the first message must be initialize")
                error = {"code": -32601, "message": f"no method {unknown}"}
                say(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}))


if __name__ == "__main__":
    main()
