"""The runtime `claude_code`: Anthropic's agent SDK, held on a short line.

Its program (Claude Code's CLI) runs in the sandbox without a tool of its own. What it wants to do it asks of the
worker, over MCP inside the SDK's own channel: policy, approvals, journal, isolation and events are those of every other
call. Its model it reaches through a door of the worker's, which adds the key; the program has a password for that door.
"""
