"""What a bug report holds, and what it never holds."""

from __future__ import annotations

import base64
import json
import os
import stat
import zipfile
from pathlib import Path
from urllib.parse import quote

import pytest

from worker_core import __version__
from worker_core.checks.check import fail, ok
from worker_core.checks.diagnostics import LONGEST_BYTES, Texts, collect, redactor_of, write_bundle
from worker_core.errors import KubiyaError
from worker_core.paths import Paths
from worker_core.snapshot import EngineSnapshot, EngineState

CANARY = "kb_canary/4f9d+1c77=a0"
PROXY = f"http://proxy-user:{quote(CANARY, safe='')}@proxy.example:3128"
CHECKS = (ok("disk", "Plenty."), fail("API key", f"{CANARY} was refused.", "kubiya-worker login"))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    found = Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path / "home")})
    for folder in (found.config, found.logs, found.runtime):
        folder.mkdir(parents=True)
    return found


def gather(paths: Paths, **environ: str) -> Texts:
    return collect(paths, environ=environ, redactor=redactor_of(environ), checks=CHECKS)


def test_it_has_what_a_report_needs(paths: Paths) -> None:
    paths.settings_file.write_text('queue_ids = ["q-1"]\n')
    paths.policy_file.write_text('[[deny]]\ncommand = "rm *"\n')
    (paths.logs / "worker.log").write_text("2026-01-01 INFO said something\n")
    (paths.logs / "crash-20260101T000000.txt").write_text("Traceback\n")
    texts = gather(paths, QUEUE_ID="q-2", KUBIYA_API_KEY=CANARY, EDITOR="vi")
    assert f"Kubiya Worker: {__version__}" in texts["system.txt"]
    assert "temporalio: " in texts["system.txt"]
    assert texts["checks.txt"].splitlines()[0] == "ok    disk: Plenty."
    assert texts["settings.toml"] == 'queue_ids = ["q-1"]\n'
    assert texts["environment.txt"] == "KUBIYA_API_KEY is set\nQUEUE_ID=q-2\n"
    assert "said something" in texts["logs/worker.log"]
    assert texts["crashes/crash-20260101T000000.txt"] == "Traceback\n"
    assert "worker.json" not in texts, "none runs"


def test_no_secret_of_the_environment_is_in_it_in_any_form(paths: Paths) -> None:
    encoded = base64.b64encode(f"user:{CANARY}".encode()).decode()
    everywhere = f"{CANARY} {quote(CANARY, safe='')} {json.dumps(CANARY)} {CANARY.encode().hex()} {encoded} {PROXY}\n"
    for file in (
        paths.settings_file, paths.policy_file, paths.config / "desktop.json", paths.logs / "worker.log",
        paths.logs / "desktop.log", paths.logs / "crash-20260101T000000.txt",
    ):  # fmt: skip
        file.write_text(everywhere)
    for environ in (
        {"KUBIYA_API_KEY": CANARY, "HTTPS_PROXY": PROXY},
        {"LITELLM_API_KEY": CANARY, "https_proxy": PROXY},
        {"SOME_TOKEN": CANARY, "ALL_PROXY": PROXY},
    ):
        texts = gather(paths, **environ)
        whole = "\n".join(texts.values())
        assert len(texts) >= 9
        for form in (CANARY, quote(CANARY, safe=""), CANARY.encode().hex(), encoded[8:-4], "proxy-user:"):
            assert form not in whole, form


def test_the_worker_is_described_and_its_texts_are_masked(paths: Paths) -> None:
    environ = {"KUBIYA_API_KEY": CANARY}
    snapshot = EngineSnapshot(state=EngineState.FAILED, reason=f"The key {CANARY} was refused.")
    texts = collect(paths, environ=environ, redactor=redactor_of(environ), checks=(), snapshot=snapshot)
    (worker,) = json.loads(texts["worker.json"])
    assert (worker["state"], worker["reason"]) == ("failed", "The key *** was refused.")


def test_the_home_folder_is_not_named(paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    (paths.logs / "worker.log").write_text(f"wrote {tmp_path}/home/state\n")
    assert gather(paths)["logs/worker.log"] == "wrote ~/home/state\n"


def test_long_files_are_cut_at_their_beginning_and_broken_ones_are_named(paths: Paths) -> None:
    (paths.logs / "worker.log").write_bytes(b"x" * 100 + b"\n" + b"a line of the log\n" * 200_000 + b"\xff end\n")
    (paths.logs / "desktop.log").mkdir()
    texts = gather(paths)
    assert len(texts["logs/worker.log"].encode()) <= LONGEST_BYTES + 10
    assert texts["logs/worker.log"].startswith("a line of the log\n")
    assert texts["logs/worker.log"].endswith("\ufffd end\n")
    assert "could not be read" in texts["logs/desktop.log"]


def test_the_bundle_is_private_and_whole_or_not_there(paths: Paths, tmp_path: Path) -> None:
    file = tmp_path / "report.zip"
    write_bundle(file, {"a.txt": "first", "logs/b.log": "second ✓"})
    if os.name != "nt":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with zipfile.ZipFile(file) as bundle:
        assert {one: bundle.read(one).decode() for one in bundle.namelist()} == {
            "kubiya-worker-diagnostics/a.txt": "first",
            "kubiya-worker-diagnostics/logs/b.log": "second ✓",
        }
    with pytest.raises(KubiyaError, match="cannot be written"):
        write_bundle(tmp_path / "no" / "such" / "folder.zip", {"a": "b"})
    folder = tmp_path / "folder.zip"
    folder.mkdir()
    with pytest.raises(KubiyaError, match="Choose another place"):
        write_bundle(folder, {"a": "b"})
    assert sorted(one.name for one in tmp_path.iterdir()) == ["folder.zip", "home", "report.zip"]
