"""MCP servers: what they are (configuration), how they are talked to (session), and who keeps them (pool).

The SDK is imported in a thread of its own when an execution that has servers begins: never on the start path.
"""
