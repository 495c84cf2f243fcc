"""An MCP server that keeps the `_meta` of each call in the file `meta`; it needs nothing but Python."""

import json
import sys

for line in sys.stdin:
    message = json.loads(line)
    if "id" not in message:
        continue
    answer: dict[str, object] = {"jsonrpc": "2.0", "id": message["id"]}
    match message["method"]:
        case "initialize":
            answer["result"] = {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "meta", "version": "1"},
            }
        case "tools/list":
            answer["result"] = {"tools": [{"name": "look", "description": "Looks.", "inputSchema": {"type": "object"}}]}
        case "tools/call":
            with open("meta", "a") as file:  # noqa: PTH123
                file.write(json.dumps(message["params"].get("_meta") or {}) + "\n")
            answer["result"] = {"content": [{"type": "text", "text": "seen"}]}
        case _:
            answer["error"] = {"code": -32601, "message": "no such method"}
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
