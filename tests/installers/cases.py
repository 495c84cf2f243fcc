"""What the chart takes and what it refuses, and what pods and containers are held against."""

from __future__ import annotations

from typing import Any

from worker_core.engine.engine import LAST_EVENTS_LIMIT, SIGN_OFF_LIMIT
from worker_core.engine.serving import STOP_MARGIN

KUBERNETES = ("1.29", "1.33", "1.37")
"""The oldest that the chart takes, one between, and the newest whose schemas there are."""

AFTER_THE_DRAIN = 2 * STOP_MARGIN + LAST_EVENTS_LIMIT + 2 * SIGN_OFF_LIMIT
"""Calls end, the last events go out, queues are signed off, and servers of tools end."""

Case = dict[str, Any]
"""Values of the chart, or an answer of `scripts/helm_engine.py` to them."""

LEAST: Case = {"queues": ["q"]}
KEDA: Case = {"mode": "keda", "keda": {"temporal": {"enabled": True, "endpoint": "t:7233", "namespace": "n"}}}

TAKEN: dict[str, Case] = {
    "least": LEAST,
    "everything": {
        "queues": ["q", "r"],
        "nameOverride": "x" * 52,
        "controlPlaneUrl": "https://control-plane.example",
        "apiKey": {"value": "a-key-to-try-out"},
        "image": {"digest": f"sha256:{'0' * 64}", "pullSecrets": ["registry"]},
        "settings": {"KUBIYA_WORKER_WORKSPACE_FILES": 1_000_000, "KUBIYA_ENFORCE_ENABLED": True, "LOG_LEVEL": "DEBUG"}
        | {"KUBIYA_WORKER_TOOL_TIMEOUT": 90},
        "extraEnv": [{"name": "REGION", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}],
        "extraVolumes": [{"name": "policy", "configMap": {"name": "policy"}}],
        "extraVolumeMounts": [{"name": "policy", "mountPath": "/var/lib/kubiya-worker/config"}],
        "gateway": {"url": "https://gateway.example", "secretName": "gateway"},
        "storage": {"className": "fast"},
        "autoscaling": KEDA | {"minReplicas": 0},
        "networkPolicy": {"extraEgress": [{"to": [{"podSelector": {}}]}], "metricsFrom": {"matchLabels": {"a": "b"}}},
        "serviceAccount": {"annotations": {"a": "b"}},
        "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "dashboard": {"enabled": True},
        "podAnnotations": {"a": "b"}, "podLabels": {"a": "b"}, "nodeSelector": {"a": "b"},
        "tolerations": [{"key": "a", "operator": "Exists"}],
        "affinity": {"podAntiAffinity": {}},
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway"}],
        "priorityClassName": "a", "runtimeClassName": "b",
    },
    "bare": {
        **LEAST, "drainSeconds": 20, "networkPolicy": {"enabled": False}, "podDisruptionBudget": {"enabled": False},
        "serviceAccount": {"create": False}, "podMonitor": {"enabled": True}, "resources": None,
    },
    "short-drain-hpa": {**LEAST, "drainSeconds": 20, "autoscaling": {"mode": "hpa", "minReplicas": 0}},
}  # fmt: skip
REFUSED: dict[str, tuple[Case, str]] = {
    "no-queue": ({}, "name at least one worker queue"),
    "misspelt-value": ({**LEAST, "replcas": 2}, "'replcas' not allowed"),
    "misspelt-inside": ({**LEAST, "storage": {"whenScaledd": "Retain"}}, "'whenScaledd' not allowed"),
    "misspelt-setting": ({**LEAST, "settings": {"KUBIYA_WORKER_NETWROK": "off"}}, "_NETWROK' not allowed"),
    "misspelt-choice": ({**LEAST, "settings": {"KUBIYA_WORKER_NETWORK": "offf"}}, "one of 'off'"),
    "a-switch-that-is-none": ({**LEAST, "settings": {"KUBIYA_ENFORCE_ENABLED": "perhaps"}}, "KUBIYA_ENFORCE_ENABLED"),
    "drain-in-two-places": ({**LEAST, "settings": {"KUBIYA_WORKER_DRAIN_TIMEOUT": "9"}}, "DRAIN_TIMEOUT' not allowed"),
    "unknown-kind": ({**LEAST, "kind": "DaemonSet"}, "one of 'StatefulSet', 'Deployment'"),
    "home-queue": ({"queues": ["q@host"]}, "does not match pattern"),
    "a-user": ({**LEAST, "runAsUser": 1000}, "'runAsUser' not allowed"),
    "size": ({**LEAST, "storage": {"size": "ten"}}, "does not match pattern"),
    "hpa-without-requests": (
        {**LEAST, "autoscaling": {"mode": "hpa"}, "resources": {"requests": {"cpu": None}}}, "resources.requests.cpu",
    ),
    "keda-without-trigger": ({**LEAST, "autoscaling": {"mode": "keda"}}, "enable autoscaling.keda.temporal or"),
    "keda-without-endpoint": (
        {**LEAST, "autoscaling": {"mode": "keda", "keda": {"temporal": {"enabled": True}}}}, "endpoint",
    ),
    "zero-by-own-gauges": (
        {**LEAST, "autoscaling": {"mode": "keda", "minReplicas": 0, "keda": {"prometheus": {"enabled": True,
         "serverAddress": "http://p:9090"}}}}, "without one, nobody says that there is work",
    ),
    "unreachable-metrics": ({**LEAST, "podMonitor": {"enabled": True}}, "networkPolicy.metricsFrom"),
    "external-secret-without-store": ({**LEAST, "apiKey": {"externalSecret": {"enabled": True}}}, "storeName"),
}  # fmt: skip
VALUES: dict[str, Case] = TAKEN | {name: values for name, (values, _) in REFUSED.items()}
