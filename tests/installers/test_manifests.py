"""What the manifests name exists in the worker: flags, variables, and the metrics of dashboard and scaler."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from tests.support.scripts import script
from worker_core.cli.start import command
from worker_core.sandbox.seccomp import REFUSED
from worker_core.settings import SETTINGS
from worker_core.snapshot import EngineSnapshot, QueueStatistics, QueueView
from worker_core.status_server.counts import Counts
from worker_core.status_server.families import prometheus_text
from worker_core.status_server.report import ProcessView, measured

KUBERNETES = Path(__file__).parents[2] / "installers" / "kubernetes"
ELSEWHERE = {"HOME", "TMPDIR", "KUBIYA_WORKER_HOME"}
"""Variables that are no settings."""

LABELS = {"namespace", "pod", "le"}
"""What Prometheus adds."""


def manifests() -> dict[str, str]:
    return {one.name: one.read_text(encoding="utf-8") for one in (KUBERNETES / "manifests").glob("*.yaml")}


def test_the_arguments_are_flags_of_start() -> None:
    said = CliRunner().invoke(command, ["--help"]).output
    for name, text in manifests().items():
        [(first, *rest)] = [line.split(", ") for line in re.findall(r"args: \[(.+)\]", text)]
        assert first == "start", name
        for flag in rest:
            assert re.search(rf"(?m)^ .*{re.escape(flag.partition('=')[0])}\b", said), f"{name}: {flag}"


def test_the_variables_are_read() -> None:
    known = {one.variable for one in SETTINGS.values()} | ELSEWHERE
    for name, text in manifests().items():
        variables = set(re.findall(r"- name: ([A-Z][A-Z_]+)$", text, re.MULTILINE))
        assert "QUEUE_ID" in variables
        assert variables <= known, name


def test_the_seccomp_profile_is_the_workers_own_list_without_what_bubblewrap_does() -> None:
    seccomp_profile = script("seccomp_profile")
    assert seccomp_profile.PROFILE.read_text(encoding="utf-8") == seccomp_profile.profile(), (
        "scripts/seccomp_profile.py"
    )
    refused = set(json.loads(seccomp_profile.profile())["syscalls"][0]["names"])
    assert REFUSED.keys() - refused == {"mount", "umount2", "pivot_root", "sethostname"}


def exported() -> dict[str, set[str]]:
    """The labels of each metric of a worker with a queue."""
    counts = QueueStatistics(
        backlog=3, backlog_age_seconds=1.0, added_per_second=0.0, dispatched_per_second=0.0, pollers=1
    )
    queue = QueueView(queue_id="q", polling=True, last_heartbeat_clock=0.0, last_poll_clock=0.0, statistics=counts)
    process = ProcessView(cpu_seconds=1, resident_bytes=1, threads=1, started_at=1, open_fds=1)
    snapshot = EngineSnapshot(queues=(queue,))
    ours = measured(snapshot, clock=1.0, ready=True, silent_seconds=0.0, counts=Counts(), process=process)
    text = prometheus_text(ours)
    found: dict[str, set[str]] = {}
    for name, labels in re.findall(r"^(\w+)(?:\{(.*?)\})? ", text, re.MULTILINE):
        found.setdefault(name, set()).update(re.findall(r'(\w+)="', labels))
    return found


def queries() -> Iterator[str]:
    dashboard: Any = json.loads(
        (KUBERNETES / "chart" / "dashboards" / "kubiya-worker.json").read_text(encoding="utf-8")
    )
    for panel in dashboard["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (one["query"] for one in dashboard["templating"]["list"] if one["type"] == "query")
    scaled = (KUBERNETES / "manifests" / "keda-prometheus.yaml").read_text(encoding="utf-8")
    [query] = re.findall(r"query: >-\n((?: {10}.+\n)+)", scaled)
    yield query


def test_every_metric_that_is_asked_for_is_exported() -> None:
    there = exported()
    asked = list(queries())
    assert len(asked) > 20
    for query in asked:
        names = re.findall(r"\b(?:kubiya_worker|process)_\w+", query.replace("kubiya-worker", ""))
        assert names, query
        for name in names:
            assert name in there, query
        labels = set(re.findall(r'(\w+)\s*=~?"', query))
        labels |= {one.strip() for group in re.findall(r"by \((.+?)\)", query) for one in group.split(",")}
        assert labels <= LABELS.union(*(there[name] for name in names)), query


def test_the_panels_do_not_lie_on_each_other() -> None:
    dashboard: Any = json.loads(
        (KUBERNETES / "chart" / "dashboards" / "kubiya-worker.json").read_text(encoding="utf-8")
    )
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
