"""The GitHub workflow: pinned, with few rights, and each job begins with what its system has.

`actionlint` reads it too, in its first job.
"""

from __future__ import annotations

import re

import pytest

from tests.support.imports import ROOT

TEXT = (ROOT / ".github/workflows/build.yml").read_text(encoding="utf-8")
JOBS = dict(re.findall(r"^  ([a-z-]+):\n((?:(?:    .*)?\n)+)", TEXT.partition("\njobs:\n")[2], re.MULTILINE))
ON_WINDOWS = [name for name, job in JOBS.items() if "windows-" in job]
SECRETS_FOR_TAGS = {"package", "release"}


def test_every_action_is_pinned_by_a_commit_that_says_its_version() -> None:
    used = re.findall(r"uses: (.*)", TEXT)
    assert used
    for one in used:
        assert re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one), one
    by_action: dict[str, set[str]] = {}
    for one in used:
        by_action.setdefault(one.partition("@")[0], set()).add(one)
    assert all(len(pins) == 1 for pins in by_action.values()), by_action


def test_rights_are_given_to_the_one_job_that_needs_them() -> None:
    assert "\npermissions:\n  contents: read\n" in TEXT
    assert [name for name, job in JOBS.items() if "permissions:" in job] == ["release"]
    assert "pull_request_target" not in TEXT
    assert TEXT.count("actions/checkout@") == TEXT.count("persist-credentials: false")


def test_secrets_are_seen_by_tags_alone() -> None:
    assert {name for name, job in JOBS.items() if "secrets." in job} <= SECRETS_FOR_TAGS
    assert "    if: github.ref_type == 'tag'\n" in JOBS["release"]
    for step in JOBS["package"].split("\n      - "):
        for line in step.splitlines():
            if "secrets." in line:
                assert "github.ref_type == 'tag'" in line or "if: runner.os == 'macOS' && github.ref_type" in step, line


def test_what_somebody_else_writes_is_never_part_of_a_script() -> None:
    scripts = re.findall(r"run: (?:[|>]\n(?:(?: {10,}.*)?\n)+|.*\n)", TEXT)
    assert len(scripts) > 10
    for script in scripts:
        assert not re.findall(r"\$\{\{ (?!steps\.venv\.outputs\.python)", script), script


@pytest.mark.parametrize("name", ON_WINDOWS)
def test_windows_jobs_begin_with_what_windows_has(name: str) -> None:
    assert "make " not in JOBS[name]
    assert "apt-get" not in JOBS[name]
    assert "scripts/setup.py" in JOBS[name]


@pytest.mark.parametrize("name", JOBS)
def test_each_job_ends_by_itself(name: str) -> None:
    assert re.search(r"^    timeout-minutes: \d+$", JOBS[name], re.MULTILINE)


def test_every_system_is_tested_and_packaged() -> None:
    for system in ("ubuntu-22.04", "macos-15", "macos-15-intel", "windows-2025"):
        assert system in JOBS["test"] + JOBS["test-windows"], system
        assert system in JOBS["package"], system


def test_what_the_workflow_runs_is_there() -> None:
    named = set(re.findall(r"(?:scripts|tests)/[\w/.]+", TEXT))
    assert len(named) > 10
    assert sorted(one for one in named if not (ROOT / one).exists()) == []
    for module in re.findall(r"-m (installers[\w.]+)", TEXT):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
