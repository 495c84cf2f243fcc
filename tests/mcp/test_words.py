"""What is said of servers: why one ended, what one waits for, what one wants."""

from __future__ import annotations

import pytest

from tests.support.growth import LINEAR, twice_the_length_costs
from worker_core.mcp.fetching import fetches
from worker_core.mcp.last_words import MOST_LINES, telling

NODE = """\
node:internal/modules/cjs/loader:1210
  throw err;
  ^

Error: Cannot find module '/home/u/dev/server/index.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1207:15)
    at Module._load (node:internal/modules/cjs/loader:1038:27) {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v20.20.2"""
ADVERTISED = """\
Please provide a BRAVE_API_KEY: it is required
npm notice
npm notice New major version of npm available! 10.8.2 -> 11.6.4
npm notice Changelog: https://github.com/npm/cli/releases/tag/v11.6.4
npm notice To update run: npm install -g npm@11.6.4
npm notice"""
PYTHON = """\
Traceback (most recent call last):
  File "/usr/lib/python3.11/runpy.py", line 196, in _run_module_as_main
    return _run_code(code, main_globals, None,
ModuleNotFoundError: No module named 'my_server'"""


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        (NODE, ["Error: Cannot find module '/home/u/dev/server/index.js'"]),
        (ADVERTISED, ["Please provide a BRAVE_API_KEY: it is required"]),
        (PYTHON, ["ModuleNotFoundError: No module named 'my_server'"]),
        ("one\n\ntwo\n  three", ["one", "two", "three"]),
        ("listening\n    at once", ["listening"]),
        ("}\n]", ["}", "]"]),
        ("", []),
    ],
)
def test_the_last_words_tell_the_cause(printed: str, said: list[str]) -> None:
    assert telling(printed.splitlines()) == said


def test_of_many_causes_the_last_ones_are_told() -> None:
    assert telling(f"error {number}" for number in range(100)) == [f"error {n}" for n in range(100 - MOST_LINES, 100)]


@pytest.mark.parametrize("piece", ["npm ", "(node:1", "Installed 1", "[", "a"])
def test_twice_as_much_said_takes_twice_the_time(piece: str) -> None:
    assert twice_the_length_costs(lambda line: telling([line]), lambda length: piece * length) < LINEAR


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("npx -y @playwright/mcp@latest --headless", "npx fetches @playwright/mcp@latest"),
        ("/home/u/.nvm/versions/node/v22/bin/npx --package=a b", "npx fetches a"),
        ("npx -p a b", "npx fetches a"),
        ("npm exec -- a", "npm fetches a"),
        ("uvx mcp-server-git", "uvx fetches mcp-server-git"),
        ("uvx --python 3.12 --from git+https://example.com/x x", "uvx fetches git+https://example.com/x"),
        ("uv tool run a", "uv fetches a"),
        ("docker run -i --rm -e TOKEN mcp/x", "docker fetches what it runs"),
        ("npx", "npx fetches what it runs"),
        ("npm start", ""),
        ("node index.js", ""),
        ("python -m server", ""),
    ],
)
def test_what_is_fetched_is_named(command: str, said: str) -> None:
    assert fetches(command.split()) == said
