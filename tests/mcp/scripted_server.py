"""A server that answers what it is told to: `python scripted_server.py ANSWERS`, JSON of methods and their answers.

An answer is `{"result": ..}` or `{"error": ..}`, and may hold `"id": "text"`: then the ids of answers are texts. What
it is not told, it answers as a plain server does. A message is a line.
"""

from __future__ import annotations

import json
import sys
from typing import Any

GREETING: dict[str, Any] = {
    "protocolVersion": "2025-06-18",
    "capabilities": {"tools": {}, "resources": {}},
    "serverInfo": {"name": "scripted", "version": "1"},
}
PLAIN: dict[str, Any] = {
    "initialize": {"result": GREETING},
    "tools/list": {"result": {"tools": [{"name": "do", "inputSchema": {"type": "object"}}]}},
    "tools/call": {"result": {"content": [{"type": "text", "text": "done"}]}},
}
UNKNOWN: dict[str, Any] = {"error": {"code": -32601, "message": "no such method"}}


def main() -> None:
    answers = {**PLAIN, **json.loads(sys.argv[1])}
    for line in sys.stdin:
        message = json.loads(line)
        if "id" not in message:
            continue
        said = answers.get(message["method"], UNKNOWN)
        request_id = str(message["id"]) if said.get("id") == "text" else message["id"]
        sys.stdout.write(json.dumps({"jsonrpc": "2.0", **said, "id": request_id}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
