"""Renders the Helm chart into plain manifests, and runs what checks both and the Dockerfile (tests/installers).

Helm's engine, Kubernetes' schemas and hadolint have an environment of their own in the user's cache: they are large.

Usage: .venv/bin/python scripts/chart.py [--if-possible] [--write] [PYTEST ARGUMENT ...]
    --write        write installers/kubernetes/manifests anew first
    --if-possible  where the tools cannot be installed, say so and end well
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import takewhile
from pathlib import Path
from typing import Any

from own_environment import ROOT, environment, python_of, run_tests, set_up, switches

CHART = ROOT / "installers" / "kubernetes" / "chart"
EXAMPLES = ROOT / "installers" / "kubernetes" / "examples"
MANIFESTS = ROOT / "installers" / "kubernetes" / "manifests"
ENGINE = ROOT / "scripts" / "helm_engine.py"
RELEASE, NAMESPACE = "kubiya-worker", "kubiya"
_OF_HELM = ("helm.sh/chart:", "app.kubernetes.io/managed-by:")


def ask(python: Path, request: dict[str, Any]) -> Any:
    """An answer of `helm_engine.py`, which says what a request is."""
    done = subprocess.run(
        [python, ENGINE], input=json.dumps(request), stdout=subprocess.PIPE, text=True, check=True, timeout=100
    )
    return json.loads(done.stdout)


def plain(example: Path, rendered: dict[str, str]) -> str:
    """The manifests of an example for whoever has no Helm: what the chart renders, without Helm's own labels."""
    said = takewhile(lambda line: line.startswith("#"), example.read_text(encoding="utf-8").splitlines())
    lines = [*said, f"# Rendered from ../examples/{example.name} by `make test-chart WRITE=--write`."]
    for name in sorted(rendered, key=lambda name: ("service-account" not in name, "workload" not in name, name)):
        kept = [line.rstrip() for line in rendered[name].splitlines() if not line.strip().startswith(_OF_HELM)]
        kept = [line for line in kept if line]
        if kept:
            lines += ["---", *kept] if kept[0] != "---" else kept
    return "\n".join(lines) + "\n"


def manifests(python: Path) -> dict[str, str]:
    """What each file in `manifests/` ought to be, by name."""
    examples = sorted(EXAMPLES.glob("*.yaml"))
    cases = [{"file": str(one), "release": RELEASE, "namespace": NAMESPACE} for one in examples]
    answers = ask(python, {"chart": str(CHART), "cases": cases, "versions": []})["cases"]
    return {one.name: plain(one, answer["files"]) for one, answer in zip(examples, answers, strict=True)}


def main() -> int:
    chosen, arguments = switches("--if-possible", "--write")
    if why := set_up("chart", what="Helm's engine, Kubernetes' schemas and hadolint"):
        print(f"The chart cannot be checked: {why}. Its tests are not run.", file=sys.stderr)
        return 0 if "--if-possible" in chosen else 1
    if "--write" in chosen:
        MANIFESTS.mkdir(exist_ok=True)
        for name, text in manifests(python_of(environment("chart"))).items():
            (MANIFESTS / name).write_text(text, encoding="utf-8")
    return run_tests(arguments or ["tests/installers"], chart=environment("chart"))


if __name__ == "__main__":
    sys.exit(main())
