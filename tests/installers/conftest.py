"""What the chart becomes with each set of values, rendered once by Helm's own engine."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.installers.cases import KUBERNETES, VALUES, Case
from tests.support.scripts import script, set_up


@pytest.fixture(scope="session")
def tools() -> Path:
    """The environment with Helm's engine, Kubernetes' schemas and hadolint."""
    return set_up("chart", what="Helm's engine, Kubernetes' schemas and hadolint")


@pytest.fixture(scope="session")
def chart() -> ModuleType:
    return script("chart")


@pytest.fixture(scope="session")
def rendering(tools: Path, chart: ModuleType) -> Any:
    """Everything asked of Helm's engine, in one process: `examples` and `values` by name, and `lint`."""
    examples = sorted(chart.EXAMPLES.glob("*.yaml"))
    cases: list[Case] = [{"file": str(one), "release": chart.RELEASE, "namespace": chart.NAMESPACE} for one in examples]
    cases += [{"values": values, "release": "one", "namespace": "agents"} for values in VALUES.values()]
    request = {"chart": str(chart.CHART), "cases": cases, "versions": KUBERNETES}
    answer = chart.ask(chart.python_of(tools), request)
    names = [*(one.stem for one in examples), *VALUES]
    return {"lint": answer["lint"], "cases": dict(zip(names, answer["cases"], strict=True)), "examples": examples}
