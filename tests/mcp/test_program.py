"""Programs as people install them start in the sandbox, and of their homes nothing else is seen."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.sandbox.conftest import run
from tests.support.walls import bubblewrap, needs_bubblewrap
from worker_core.errors import KubiyaError
from worker_core.mcp import program
from worker_core.mcp.program import find, unseen
from worker_core.sandbox.launcher import Command

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="links and shims as Linux has them")

SYSTEM_PATH = "/usr/bin:/bin"
SECRETS = (
    ".ssh/id_ed25519",
    ".aws/credentials",
    ".config/gh/hosts.yml",
    ".npmrc",
    "notes.txt",
    ".local/share/keyrings/login",
)


@dataclass
class Home:
    """Of somebody who has secrets, and programs."""

    path: Path
    search_path: str = SYSTEM_PATH

    def script(self, where: str, text: str, *, line: str = "#!/bin/sh") -> Path:
        file = self.path / where
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{line}\n{text}\n")
        file.chmod(0o755)
        return file

    def link(self, where: str, target: str) -> None:
        file = self.path / where
        file.parent.mkdir(parents=True, exist_ok=True)
        file.symlink_to(target)

    def on_path(self, *folders: str) -> None:
        self.search_path = os.pathsep.join([*(str(self.path / one) for one in folders), SYSTEM_PATH])

    def node(self, prefix: str) -> None:
        """As Node's archive is unpacked: `npx` is a link to a script that `node` runs."""
        self.script(
            f"{prefix}/bin/node", f'echo "node of $(cat {self.path / prefix}/lib/release) runs $(basename "$1")"'
        )
        self.script(f"{prefix}/lib/node_modules/npm/bin/npx-cli.js", "", line="#!/usr/bin/env node")
        (self.path / prefix / "lib/release").write_text("here")
        self.link(f"{prefix}/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js")

    def python(self, prefix: str) -> None:
        self.script(
            f"{prefix}/bin/python3.12", f'echo "python of $(cat {self.path / prefix}/lib/python3.12/os.py) runs"'
        )
        (self.path / prefix / "lib/python3.12").mkdir(parents=True)
        (self.path / prefix / "lib/python3.12/os.py").write_text("here")

    def venv(self, prefix: str, python: str, command: str) -> None:
        self.link(f"{prefix}/bin/python", str(self.path / python / "bin/python3.12"))
        (self.path / prefix / "pyvenv.cfg").write_text("")
        self.script(f"{prefix}/bin/{command}", "", line=f"#!{self.path / prefix}/bin/python")


def nvm(home: Home) -> str:
    home.node(".nvm/versions/node/v22.1.0")
    home.on_path(".nvm/versions/node/v22.1.0/bin")
    return "npx"


def nvm_of_a_service(home: Home) -> str:
    """A worker that starts with the machine has no line of `.bashrc` on its PATH."""
    for version in ("v8.9.0", "v18.20.1", "v22.1.0"):
        home.node(f".nvm/versions/node/{version}")
    (home.path / ".nvm/versions/node/v22.1.0/lib/release").write_text("another")
    (home.path / ".nvm/alias").mkdir()
    (home.path / ".nvm/alias/default").write_text("18\n")
    home.link(".nvm/versions/node/v18.20.1/bin/npx-of-nvm", "npx")  # this machine may have an npx of its own
    home.link(".nvm/versions/node/v22.1.0/bin/npx-of-nvm", "npx")
    return "npx-of-nvm"


def fnm(home: Home) -> str:
    home.node(".local/share/fnm/node-versions/v22.1.0/installation")
    home.link("run/fnm_multishells/12_34", str(home.path / ".local/share/fnm/node-versions/v22.1.0/installation"))
    home.on_path("run/fnm_multishells/12_34/bin")
    return "npx"


def volta(home: Home) -> str:
    home.node(".volta/tools/image/node/22.1.0")
    home.script(".volta/bin/volta-shim", "exit 9")
    home.script(".volta/bin/volta", 'echo "$HOME/.volta/tools/image/node/22.1.0/bin/$2"')
    home.link(".volta/bin/npx", "volta-shim")
    home.on_path(".volta/bin")
    return "npx"


def asdf(home: Home) -> str:
    home.node(".asdf/installs/nodejs/22.1.0")
    home.script(".asdf/bin/asdf", '[ "$PWD" = "$HOME" ] && echo "$HOME/.asdf/installs/nodejs/22.1.0/bin/$2"')
    home.script(".asdf/shims/npx", f'# asdf-plugin: nodejs 22.1.0\nexec {home.path}/.asdf/bin/asdf exec "npx" "$@"')
    home.on_path(".asdf/shims")
    return "npx"


def asdf_since_0_16(home: Home) -> str:
    home.node(".asdf/installs/nodejs/22.1.0")
    home.script("tools/bin/asdf", 'echo "$HOME/.asdf/installs/nodejs/22.1.0/bin/$2"')
    home.script(".asdf/shims/npx", '# asdf-plugin: nodejs 22.1.0\nexec asdf exec "npx" "$@"')
    home.on_path(".asdf/shims", "tools/bin")
    return "npx"


def mise(home: Home) -> str:
    home.node(".local/share/mise/installs/node/22.1.0")
    home.script(".local/bin/mise", 'echo "$HOME/.local/share/mise/installs/node/22.1.0/bin/$2"')
    home.link(".local/share/mise/shims/npx", str(home.path / ".local/bin/mise"))
    home.on_path(".local/share/mise/shims")
    return "npx"


def by_its_path(home: Home) -> str:
    home.node(".nvm/versions/node/v22.1.0")
    return str(home.path / ".nvm/versions/node/v22.1.0/bin/npx")


def a_newer_npm(home: Home) -> str:
    """`npm install -g npm` with a prefix of one's own, and a `node` from elsewhere."""
    home.node(".nvm/versions/node/v22.1.0")
    home.script(".npm-global/lib/node_modules/npm/bin/npx-cli.js", "", line="#!/usr/bin/env node")
    home.link(".npm-global/bin/npx", "../lib/node_modules/npm/bin/npx-cli.js")
    home.on_path(".npm-global/bin", ".nvm/versions/node/v22.1.0/bin")
    return "npx"


def installed_in_a_project(home: Home) -> str:
    home.node(".nvm/versions/node/v22.1.0")
    home.script("project/node_modules/server/dist/index.js", "", line="#!/usr/bin/env node")
    home.link("project/node_modules/.bin/server", "../server/dist/index.js")
    home.on_path(".nvm/versions/node/v22.1.0/bin")
    return str(home.path / "project/node_modules/.bin/server")


def uvx(home: Home) -> str:
    home.script(".local/bin/uv", "echo uv is here")
    home.script(".local/bin/uvx", 'exec "$(dirname "$0")/uv" "$@"')
    home.on_path(".local/bin")
    return "uvx"


def tool_of_uv(home: Home) -> str:
    home.python(".local/share/uv/python/cpython-3.12.1")
    home.venv(".local/share/uv/tools/server", ".local/share/uv/python/cpython-3.12.1", "server")
    home.link(".local/bin/server", str(home.path / ".local/share/uv/tools/server/bin/server"))
    home.on_path(".local/bin")
    return "server"


def tool_of_pipx(home: Home) -> str:
    home.python(".pyenv/versions/3.12.1")
    home.venv(".local/share/pipx/venvs/server", ".pyenv/versions/3.12.1", "server")
    home.link(".local/bin/server", str(home.path / ".local/share/pipx/venvs/server/bin/server"))
    home.on_path(".local/bin")
    return "server"


def a_file_in_the_home(home: Home) -> str:
    return str(home.script("server.sh", "echo alone"))


WAYS = (
    nvm, nvm_of_a_service, fnm, volta, asdf, asdf_since_0_16, mise, by_its_path, a_newer_npm, installed_in_a_project,
    uvx, tool_of_uv, tool_of_pipx, a_file_in_the_home,
)  # fmt: skip


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    home = Home(tmp_path / "home" / "me")
    for secret in SECRETS:
        (home.path / secret).parent.mkdir(parents=True, exist_ok=True)
        (home.path / secret).write_text("a secret")
    monkeypatch.setenv("HOME", str(home.path))
    return home


@needs_bubblewrap
@pytest.mark.parametrize("way", WAYS)
async def test_it_starts_and_nothing_else_of_the_home_is_seen(
    home: Home, way: Callable[[Home], str], tmp_path: Path
) -> None:
    name = way(home)
    found = find(name, search_path=home.search_path, home=home.path)
    assert found is not None
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    environment = {"PATH": found.search_path(home.search_path), "LANG": "C.UTF-8"}
    launcher = bubblewrap(tmp_path / "run")

    async def said(*argv: str) -> str:
        command = Command(argv=argv, cwd=workspace, environment=environment, readable=found.readable)
        result = await run(launcher.wrap(command, workspace=workspace))
        text = b"".join(result.output.ends()).decode()
        result.output.close()
        return text.strip()

    assert await said(str(found.path), "-y", "x") in {
        "node of here runs npx", "node of here runs npx-cli.js", "node of here runs index.js",
        "node of here runs npx-of-nvm", "node of here runs server", "uv is here", "python of here runs", "alone",
    }  # fmt: skip
    script = f"(cd {home.path} && cat {' '.join(SECRETS)}; cat ~/.ssh/* ~/.aws/*) 2>/dev/null"
    seen = await said("/bin/sh", "-c", script)
    assert seen == ""
    assert "secret" not in await said("/bin/sh", "-c", f"grep -rs secret {tmp_path / 'home'} | head")


def test_no_home_folder_is_ever_shown(home: Home) -> None:
    home.script("bin/x", "")
    home.link("loop/bin", str(home.path))
    home.script("tool", "")
    for name in ("bin/x", "tool", "loop/bin/tool"):
        found = find(str(home.path / name), search_path=SYSTEM_PATH, home=home.path)
        assert found is not None
        assert not any(home.path.is_relative_to(os.path.realpath(piece)) for piece in found.readable)


def test_a_shim_that_knows_no_version_is_said(home: Home) -> None:
    asdf(home)
    home.script(".asdf/bin/asdf", "echo 'No version is set for command npx' >&2; exit 126")
    with pytest.raises(KubiyaError, match=r"'npx' is a shim of asdf.*No version is set.*home folder"):
        find("npx", search_path=home.search_path, home=home.path)


def test_a_shim_that_hangs_is_not_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(program, "MANAGER_SECONDS", 0.2)
    asdf(home)
    home.script(".asdf/bin/asdf", "exec sleep 600")
    with pytest.raises(KubiyaError, match="timed out"):
        find("npx", search_path=home.search_path, home=home.path)


def test_scripts_that_name_each_other_come_to_an_end(home: Home) -> None:
    one, other = home.path / "one", home.path / "other"
    home.script("one", "", line=f"#!{other}")
    home.script("other", "", line=f"#!{one}")
    home.link("bin/a", "b")
    home.link("bin/b", "a")
    assert find(str(one), search_path=SYSTEM_PATH, home=home.path) is not None
    assert find(str(home.path / "bin/a"), search_path=SYSTEM_PATH, home=home.path) is None


def test_pythons_of_uv_come_last(home: Home) -> None:
    uvx(home)
    for version in ("3.9.2", "3.12.1"):
        home.python(f".local/share/uv/python/cpython-{version}")
    found = find("uvx", search_path=home.search_path, home=home.path)
    assert found is not None
    *_, newer, older = found.search_path(home.search_path).split(":")
    assert newer.endswith("cpython-3.12.1/bin")
    assert older.endswith("cpython-3.9.2/bin")


def test_there_is_none(home: Home) -> None:
    assert find("there-is-no-such-program", search_path=SYSTEM_PATH, home=home.path) is None


def test_what_a_configuration_names_and_nobody_shows(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    server = tmp_path / "server.js"
    server.write_text("")
    command = ("node", str(server), "/usr/bin/env", "--x", "/not/there", str(tmp_path / "mine"), "a" * 10_000)
    assert unseen(command, seen=[tmp_path / "mine"]) == (server,)
    assert unseen(command, seen=[tmp_path]) == ()
