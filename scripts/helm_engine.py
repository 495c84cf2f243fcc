"""Renders a chart with Helm's own engine and holds what comes out against Kubernetes' schemas.

Runs in the environment of requirements/chart.txt, for `scripts/chart.py` and tests/installers. A request on stdin:

    {"chart": FOLDER, "versions": ["1.37", ...],
     "cases": [{"file": VALUES or "values": {...}, "release": NAME, "namespace": NAME}]}

The answer is JSON on stdout, `{"lint": [MESSAGE, ...], "cases": [...]}`: for each case either `error` (what Helm says)
or `files` (name to text), `documents` (as JSON has them), `notes` and `faults` (what the schemas say, as sentences).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python
import kubernetes_validate
import yaml

# Kubernetes' schemas do not have these: their operators bring them.
FOREIGN = ("keda.sh/", "monitoring.coreos.com/", "external-secrets.io/")


def rendered(chart: Any, case: dict[str, Any]) -> dict[str, Any]:
    values = yaml.safe_load(Path(case["file"]).read_text(encoding="utf-8")) if "file" in case else case["values"]
    try:
        files = chart.render(values, name=case["release"], namespace=case["namespace"])
    except helm_python.HelmError as error:
        return {"error": str(error)}
    texts = {Path(name).stem: text for name, text in files.items() if name.endswith(".yaml") and text.strip()}
    documents = [document for text in texts.values() for document in yaml.safe_load_all(text) if document]
    return {"files": texts, "documents": documents, "notes": files.get("kubiya-worker/templates/NOTES.txt", "")}


def faults(documents: list[dict[str, Any]], versions: list[str]) -> Iterator[str]:
    for document in documents:
        if document["apiVersion"].startswith(FOREIGN):
            continue
        for version in versions:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except (kubernetes_validate.ValidationError, kubernetes_validate.SchemaNotFoundError) as error:
                yield f"{document['kind']}, Kubernetes {version}: {error.message}"


def main() -> None:
    request = json.load(sys.stdin)
    cases = []
    with helm_python.Chart.load(request["chart"]) as chart:
        for case in request["cases"]:
            answer = rendered(chart, case)
            answer["faults"] = list(faults(answer.get("documents", []), request["versions"]))
            cases.append(answer)
    lint = [f"{one['path']}: {one['error']}" for one in helm_python.lint(request["chart"])["messages"]]
    json.dump({"lint": lint, "cases": cases}, sys.stdout)


if __name__ == "__main__":
    main()
