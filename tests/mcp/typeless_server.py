"""A server of revision 2026-07-28 that gives its results no type; it needs nothing but Python."""

import json
import sys

TOOL = {"name": "hello", "description": "Says hello.", "inputSchema": {"type": "object"}}
CONTENT = [{"type": "text", "text": "hello, without a type"}]

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer: dict[str, object] = {"jsonrpc": "2.0", "id": message["id"]}
    match message["method"]:
        case "server/discover":
            answer["result"] = {
                "supportedVersions": ["2026-07-28"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "typeless", "version": "1"},
                "ttlMs": 0,
                "cacheScope": "private",
            }
        case "tools/list":
            answer["result"] = {"tools": [TOOL], "ttlMs": 0, "cacheScope": "private"}
        case "tools/call":
            answer["result"] = {"content": CONTENT, "isError": True}
        case _:
            answer["error"] = {"code": -32601, "message": "no such method"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
