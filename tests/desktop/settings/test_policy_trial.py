"""What would become of a call: as the policy decides, in words, with what the settings make of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from desktop.look import language
from desktop.settings.policy_trial import LONGEST_VALUE, Outcome, PolicyTrial, TrialKind, TrialWish
from desktop.settings.store import SettingsStore
from worker_core.cli.root import command
from worker_core.paths import Paths
from worker_core.policy import trial as tried
from worker_core.snapshot import EngineSnapshot, SandboxView

POLICY = """[[deny]]
command = ["git push -f*", "git push --force*"]
why = "History stays."

[[ask]]
command = "git push*"
tool = "shell"

[[allow]]
path = "/srv/**"
"""
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="the paths are POSIX")
RUNS = EngineSnapshot(sandbox=SandboxView(name="bubblewrap", enforces=()))
"""A worker that has looked for its sandbox: nobody looks again."""


@pytest.fixture
def store(tmp_path: Path) -> SettingsStore:
    return SettingsStore(Paths.from_environment({"KUBIYA_WORKER_HOME": str(tmp_path)}), environ={})


@pytest.fixture
def trial(store: SettingsStore) -> PolicyTrial:
    return PolicyTrial(settings=store, snapshot=lambda: RUNS)


@POSIX
@pytest.mark.parametrize(
    ("kind", "text", "tool", "outcome", "rule", "line"),
    [
        ("command", "ls -la", "", "allow", "allow tool = '*'", 0),
        ("command", "git push -f origin main && ls", "", "deny", "deny command = 'git push -f*'", 1),
        ("command", "git push", "", "ask", "ask tool = 'shell', command = 'git push*'", 5),
        ("command", "git push", "python", "allow", "allow tool = '*'", 0),
        ("path", "/srv/data.csv", "", "allow", "allow tool = '*'", 0),
        ("path", "/etc/hosts", "", "ask", "ask path = '<outside>'", 0),
        ("path", "~/.ssh/id_rsa", "", "deny", "deny path = '**/.ssh/**'", 0),
        ("host", "169.254.169.254", "", "deny", "deny host = '169.254.*'", 0),
        ("host", "example.org:8443", "", "allow", "allow tool = '*'", 0),
        ("tool", "python", "", "allow", "allow tool = '*'", 0),
    ],
)
async def test_it_is_decided_as_the_policy_that_is_typed_says(
    trial: PolicyTrial, store: SettingsStore, monkeypatch: pytest.MonkeyPatch,
    kind: TrialKind, text: str, tool: str, outcome: Outcome, rule: str, line: int,
) -> None:  # fmt: skip
    found = await trial.judge(TrialWish(kind=kind, text=text, tool=tool, policy=POLICY))
    assert (found.outcome, [(one.rule, one.line) for one in found.reasons]) == (outcome, [(rule, line)])
    assert found.notes == ()

    store.paths.policy_file.parent.mkdir(parents=True, exist_ok=True)
    store.paths.policy_file.write_text(POLICY)
    monkeypatch.setenv("KUBIYA_WORKER_HOME", str(store.paths.settings_file.parent.parent))
    monkeypatch.setenv("KUBIYA_WORKER_SANDBOX", "none")
    monkeypatch.setenv("KUBIYA_WORKER_REQUIRE_SANDBOX", "never")
    named = {"command": [text], "path": ["--path", text], "host": ["--host", text], "tool": ["--tool", text]}[kind]
    said = CliRunner().invoke(command, ["policy", "check", "--json", *named, *(["--tool", tool] if tool else [])])
    checked = json.loads(said.stdout)
    assert (checked["action"], checked["rule"], checked["line"]) == (outcome, rule, line)


@pytest.mark.parametrize(("approvals", "outcome"), [("deny", "deny"), ("allow", "allow"), ("ask", "ask")])
async def test_where_nobody_is_asked_the_setting_decides(
    trial: PolicyTrial, store: SettingsStore, approvals: str, outcome: str
) -> None:
    store.change(approvals=approvals)
    found = await trial.judge(TrialWish(kind="command", text="git push", policy=POLICY))
    assert found.outcome == outcome
    assert ("“Calls that the policy asks about”" in found.sentence) is (approvals != "ask")
    assert [one.line for one in found.reasons] == [5]


@POSIX
async def test_all_that_is_asked_about_is_named(trial: PolicyTrial) -> None:
    found = await trial.judge(TrialWish(kind="command", text="git push; cat /etc/hosts; sudo ls", policy=POLICY))
    assert [one.what for one in found.reasons] == [
        "The command git push",
        "The path /etc/hosts: It is outside of the execution's workspace.",
        "The command sudo ls: It reaches beyond the workspace.",
    ]


@POSIX
async def test_folders_are_granted_as_to_whom_it_is_tried_for(
    trial: PolicyTrial, store: SettingsStore, tmp_path: Path
) -> None:
    folder = tmp_path.resolve() / "reports"
    folder.mkdir()
    store.paths.settings_file.parent.mkdir(parents=True, exist_ok=True)
    store.paths.settings_file.write_text(
        f"queue_ids = ['ops']\n[folders]\n{json.dumps(str(folder))} = 'read-only ops'\n"
    )
    assert trial.usual_id() == "ops"
    text = str(folder / "june.csv")
    others = await trial.judge(TrialWish(kind="path", text=text, ids=("other",)))
    assert (others.outcome, others.notes) == ("ask", (f"{folder} is granted to ops alone.",))
    for ids in ((), ("other", "ops")):
        found = await trial.judge(TrialWish(kind="path", text=text, ids=ids))
        assert (found.outcome, len(found.notes)) == ("allow", 1)
        assert "granted for reading alone" in found.notes[0]


async def test_what_cannot_be_judged_says_why(trial: PolicyTrial, store: SettingsStore) -> None:
    broken = await trial.judge(TrialWish(kind="command", text="ls", policy="[[deny]\n"))
    assert (broken.outcome, broken.reasons) == (None, ())
    assert "cannot be read" in broken.sentence
    store.paths.settings_file.parent.mkdir(parents=True, exist_ok=True)
    store.paths.settings_file.write_text("max_executions = 'many'\n")
    wrong = await trial.judge(TrialWish(kind="command", text="ls"))
    assert wrong.outcome is None
    assert "max_executions" in wrong.sentence
    assert trial.usual_id() == ""


async def test_what_a_call_says_is_made_fit_to_be_seen_and_is_said_in_the_users_language(trial: PolicyTrial) -> None:
    language.load(["fr"])
    hostile = "sudo a\u202eb " + "y" * 10_000
    found = await trial.judge(TrialWish(kind="command", text=hostile, policy=POLICY))
    [reason] = [one for one in found.reasons if "sudo" in one.rule]
    assert reason.what.startswith("La commande sudo a<U+202E>b")
    assert reason.what.endswith("…\u00a0: Cela va au-delà de l’espace de travail.")
    assert len(reason.what) < LONGEST_VALUE + 100
    assert (found.outcome, found.sentence) == ("ask", "On vous demande d’abord.")


async def test_the_sandbox_is_looked_for_once_where_no_worker_has(
    store: SettingsStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, choose = [], tried.choose
    monkeypatch.setattr(tried, "choose", lambda *given: looked.append(given) or choose(*given))
    store.change(sandbox="none", require_sandbox="never")
    trial = PolicyTrial(settings=store, snapshot=EngineSnapshot)
    for text in ("ls", "cat /etc/hosts"):
        await trial.judge(TrialWish(kind="command", text=text))
    assert len(looked) == 1
    store.change(require_sandbox="ask")
    await trial.judge(TrialWish(kind="command", text="ls"))
    assert len(looked) == 2
