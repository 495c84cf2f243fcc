"""Well-known MCP servers, as their users configure them: what `scripts/mcp_servers.py` starts and calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One, as it is configured."""

    name: str
    version: str
    call: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    remark: str = ""
    python: bool = False
    answers: str = ""
    """Part of what the call must answer. Empty: any answer is one, also that something that is not here is not here."""

    @property
    def configuration(self) -> dict[str, Any]:
        fetched = [f"{self.name}@{self.version}"] if self.python else ["-y", f"{self.name}@{self.version}"]
        return {"command": "uvx" if self.python else "npx", "args": [*fetched, *self.args], "env": dict(self.env)}


OFFICIAL = "@modelcontextprotocol/server-"
BY_NPX = (
    Server(
        name=f"{OFFICIAL}filesystem",
        version="2026.8.31",
        args=["."],
        call="list_directory",
        arguments={"path": "."},
        answers="note.txt",
        remark="the workspace; other folders by `sandbox_readable`",
    ),
    Server(
        name=f"{OFFICIAL}memory",
        version="2026.8.31",
        call="read_graph",
        answers="entities",
        remark="its graph is kept between executions",
    ),
    Server(
        name=f"{OFFICIAL}everything",
        version="2026.8.31",
        call="echo",
        arguments={"message": "hello"},
        answers="hello",
    ),
    Server(
        name=f"{OFFICIAL}sequential-thinking",
        version="2026.8.31",
        call="sequentialthinking",
        arguments={"thought": "one", "nextThoughtNeeded": False, "thoughtNumber": 1, "totalThoughts": 1},
        answers="thoughtNumber",
    ),
    Server(
        name=f"{OFFICIAL}github",
        version="2025.4.8",
        call="search_repositories",
        arguments={"query": "temporal"},
        remark="asks GitHub",
    ),
    Server(
        name=f"{OFFICIAL}postgres",
        version="0.6.2",
        args=["postgresql://localhost/none"],
        call="query",
        arguments={"sql": "select 1"},
        remark='a public database by `network_ports`, another one with `network = "host"`',
    ),
    Server(
        name="@playwright/mcp",
        version="0.0.83",
        args=["--headless", "--no-sandbox"],
        call="browser_close",
        remark="tried without a browser; with one, see README",
    ),
    Server(
        name="chrome-devtools-mcp",
        version="1.11.0",
        args=["--headless"],
        call="list_pages",
        remark="tried without a browser",
    ),
    Server(
        name="@upstash/context7-mcp",
        version="4.1.1",
        call="resolve-library-id",
        arguments={"libraryName": "react", "query": "hooks"},
        remark="asks context7.com",
    ),
    Server(
        name="@notionhq/notion-mcp-server",
        version="2.5.2",
        call="API-get-self",
        remark="asks Notion; tried without a token",
    ),
    Server(
        name="mcp-server-kubernetes",
        version="4.1.7",
        call="ping",
        remark="a configuration of `kubectl` by `sandbox_readable` and `KUBECONFIG`",
    ),
    Server(name="@eslint/mcp", version="0.3.13", call="lint-files", arguments={"filePaths": ["x.js"]}),
    Server(
        name="@wonderwhy-er/desktop-commander",
        version="0.2.52",
        call="get_config",
        answers="blockedCommands",
    ),
    Server(name="@cyanheads/git-mcp-server", version="2.15.3", call="git_status", arguments={"path": "."}),
    Server(
        name="n8n-mcp",
        version="2.87.0",
        env={"MCP_MODE": "stdio", "DISABLE_CONSOLE_OUTPUT": "true", "N8N_MCP_TELEMETRY_DISABLED": "true"},
        call="search_nodes",
        arguments={"query": "slack"},
        answers="slack",
        remark="a large one",
    ),
    Server(
        name="mongodb-mcp-server",
        version="3.0.4",
        env={"MDB_MCP_TELEMETRY": "disabled"},
        call="list-databases",
        remark="a large one; tried without a database",
    ),
)
BY_UVX = (
    Server(
        name="mcp-server-time",
        version="2026.10.19",
        call="get_current_time",
        arguments={"timezone": "UTC"},
        answers="UTC",
    ),
    Server(
        name="mcp-server-fetch",
        version="2026.10.24",
        call="fetch",
        arguments={"url": "https://pypi.org/pypi/mcp-server-fetch/json"},
        answers="Contents of https://pypi.org",
        remark="asks the host that it is told",
    ),
    Server(name="mcp-server-git", version="2026.10.19", call="git_status", arguments={"repo_path": "."}),
    Server(name="mcp-server-sqlite", version="2025.4.25", args=["--db-path", "x.db"], call="list_tables", answers="[]"),
    Server(
        name="markitdown-mcp",
        version="0.0.1a8",
        call="convert_to_markdown",
        arguments={"uri": "data:text/html,<h1>hello</h1>"},
        answers="# hello",
    ),
    Server(
        name="mcp-server-qdrant",
        version="0.8.1",
        env={"QDRANT_LOCAL_PATH": "qdrant", "COLLECTION_NAME": "notes"},
        call="qdrant-find",
        arguments={"query": "x"},
        remark="its first call fetches a model from Hugging Face",
    ),
    Server(name="arxiv-mcp-server", version="0.8.2", call="list_papers"),
    Server(
        name="mcp-server-motherduck",
        version="1.1.0",
        args=["--db-path", ":memory:", "--read-write"],
        call="execute_query",
        arguments={"sql": "select 40 + 2 as x"},
        answers="42",
    ),
    Server(
        name="duckduckgo-mcp-server",
        version="0.7.0",
        call="search",
        arguments={"query": "temporal"},
        remark="asks duckduckgo.com",
    ),
    Server(
        name="excel-mcp-server",
        version="2.2.2",
        args=["stdio"],
        call="create_workbook",
        arguments={"path": "x.xlsx"},
    ),
)
SERVERS = (*BY_NPX, *(replace(server, python=True) for server in BY_UVX))
