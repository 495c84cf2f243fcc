"""The Helm chart: what it becomes, held against Kubernetes' schemas and standards, and what it refuses."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.installers.cases import AFTER_THE_DRAIN, KUBERNETES, REFUSED, TAKEN, Case
from tests.installers.pod_security import breaks_restricted, breaks_restricted_v2
from worker_core import __version__
from worker_core.settings import Settings, load

EXAMPLES = ("bubblewrap", "deployment", "external-secret", "keda", "keda-prometheus", "openshift", "statefulset")
EVERY = (*EXAMPLES, *TAKEN)

SCALED_OBJECT = {
    "scaleTargetRef", "minReplicaCount", "maxReplicaCount", "pollingInterval", "cooldownPeriod", "fallback", "advanced",
    "triggers",
}  # fmt: skip
TRIGGERS = {
    "temporal": {
        "endpoint", "namespace", "taskQueue", "queueTypes", "targetQueueSize", "activationTargetQueueSize",
        "workerDeploymentName", "workerDeploymentBuildId", "includeRunningWorkflowCount", "workflowTaskQueueForCount",
        "minConnectTimeout", "unsafeSsl", "tlsServerName", "enableTLS",
    },
    "prometheus": {
        "serverAddress", "query", "threshold", "activationThreshold", "namespace", "ignoreNullValues", "customHeaders",
        "queryParameters", "unsafeSsl", "timeout", "authModes",
    },
}  # fmt: skip
"""What KEDA's scalers read (keda.sh/docs/2.22/scalers). Its schema lets any name pass, and the scaler ignores it."""


def of_kind(case: Case, *kinds: str) -> list[Case]:
    return [document for document in case["documents"] if document["kind"] in kinds]


def workload(case: Case) -> Case:
    [one] = of_kind(case, "StatefulSet", "Deployment")
    return one


def pod(case: Case) -> Case:
    spec: Case = workload(case)["spec"]["template"]["spec"]
    return spec


def variables(case: Case) -> dict[str, str]:
    return {one["name"]: one.get("value", "") for one in pod(case)["containers"][0]["env"]}


def settings_of(case: Case) -> Settings:
    """As the worker reads them; the keys' files are not on this machine."""
    return load(environ={name: value for name, value in variables(case).items() if not name.endswith("_KEY_FILE")})


def test_every_example_is_checked(rendering: Any) -> None:
    assert {one.stem for one in rendering["examples"]} == set(EXAMPLES)
    assert rendering["lint"] == ["Chart.yaml: icon is recommended"]


@pytest.mark.parametrize("name", EVERY)
def test_three_versions_of_kubernetes_take_it_without_an_unknown_field(rendering: Any, name: str) -> None:
    case = rendering["cases"][name]
    assert "error" not in case
    assert case["faults"] == []
    assert len(KUBERNETES) == 3
    assert of_kind(case, "StatefulSet", "Deployment")


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_work_is_refused_with_a_reason(rendering: Any, name: str) -> None:
    assert REFUSED[name][1] in rendering["cases"][name].get("error", "it was taken")


@pytest.mark.parametrize("name", EVERY)
def test_pods_are_restricted(rendering: Any, name: str) -> None:
    spec = pod(rendering["cases"][name])
    assert list(breaks_restricted(spec)) == []
    [container] = spec["containers"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert not of_kind(rendering["cases"][name], "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")


def test_openshift_chooses_the_user(rendering: Any) -> None:
    assert list(breaks_restricted_v2(pod(rendering["cases"]["openshift"]))) == []
    assert list(breaks_restricted_v2(pod(rendering["cases"]["statefulset"]))) == ["fsGroup is chosen"]
    assert list(breaks_restricted_v2(pod(rendering["cases"]["bubblewrap"])))


def test_the_checks_of_pods_see_what_is_wrong() -> None:
    bad = {
        "hostNetwork": True,
        "volumes": [{"name": "v", "hostPath": {"path": "/"}}],
        "containers": [
            {"name": "c", "securityContext": {"procMount": "Unmasked", "capabilities": {"add": ["SYS_ADMIN"]}}}
        ],
    }
    assert len(list(breaks_restricted(bad))) == 7


@pytest.mark.parametrize("name", EVERY)
def test_the_grace_is_the_drain_and_what_comes_after(rendering: Any, name: str) -> None:
    case = rendering["cases"][name]
    settings = settings_of(case)
    grace = timedelta(seconds=pod(case)["terminationGracePeriodSeconds"])
    assert settings.drain_timeout + AFTER_THE_DRAIN <= grace <= settings.drain_timeout + timedelta(minutes=1)


def test_numbers_of_values_reach_the_worker_as_they_were_written(rendering: Any) -> None:
    settings = settings_of(rendering["cases"]["everything"])
    assert (settings.workspace_files, settings.enforcer, settings.tool_timeout.total_seconds()) == (1_000_000, True, 90)
    assert settings.queue_ids == ("q", "r")
    assert (settings.status_host, settings.status_port) == ("0.0.0.0", 8080)


@pytest.mark.parametrize("name", EVERY)
def test_keys_are_files(rendering: Any, name: str) -> None:
    case = rendering["cases"][name]
    assert not variables(case).keys() & {"KUBIYA_API_KEY", "LITELLM_API_KEY"}
    mounts = {one["mountPath"]: one["name"] for one in pod(case)["containers"][0]["volumeMounts"]}
    secrets = {one["name"] for one in pod(case)["volumes"] if "secret" in one}
    files = [value for one, value in variables(case).items() if one.endswith("_KEY_FILE")]
    assert {mounts[str(Path(one).parent)] for one in files} == secrets
    assert variables(case)["KUBIYA_API_KEY_FILE"] in files


def test_a_pod_comes_back_as_the_same_machine(rendering: Any) -> None:
    spec = workload(rendering["cases"]["statefulset"])["spec"]
    [claim] = spec["volumeClaimTemplates"]
    mounts = {
        one["name"]: one["mountPath"] for one in pod(rendering["cases"]["statefulset"])["containers"][0]["volumeMounts"]
    }
    assert mounts[claim["metadata"]["name"]] == variables(rendering["cases"]["statefulset"])["KUBIYA_WORKER_HOME"]
    assert spec["persistentVolumeClaimRetentionPolicy"] == {"whenScaled": "Retain", "whenDeleted": "Retain"}


@pytest.mark.parametrize("name", ["keda", "keda-prometheus", "everything"])
def test_keda_reads_every_name(rendering: Any, name: str) -> None:
    [scaled] = of_kind(rendering["cases"][name], "ScaledObject")
    assert scaled["spec"].keys() <= SCALED_OBJECT
    assert scaled["spec"]["fallback"]["behavior"] == "currentReplicasIfHigher"
    for trigger in scaled["spec"]["triggers"]:
        assert trigger["metadata"].keys() <= TRIGGERS[trigger["type"]]
        assert all(isinstance(value, str) for value in trigger["metadata"].values())
        if trigger["type"] == "temporal":
            assert trigger["metadata"]["queueTypes"] == "workflow,activity"
    queues = [one["metadata"]["taskQueue"] for one in scaled["spec"]["triggers"] if one["type"] == "temporal"]
    assert not queues or ",".join(queues) == variables(rendering["cases"][name])["QUEUE_ID"]


@pytest.mark.parametrize("name", ["keda", "keda-prometheus", "deployment", "short-drain-hpa"])
def test_scaling_down_waits_until_the_pod_before_has_drained(rendering: Any, name: str) -> None:
    case = rendering["cases"][name]
    [scaler] = of_kind(case, "ScaledObject", "HorizontalPodAutoscaler")
    nested = scaler["spec"].get("advanced", {}).get("horizontalPodAutoscalerConfig", scaler["spec"])
    down = nested["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] == 600
    [policy] = down["policies"]
    assert (policy["type"], policy["value"]) == ("Pods", 1)
    assert policy["periodSeconds"] >= pod(case)["terminationGracePeriodSeconds"]
    assert "replicas" not in workload(case)["spec"]


def test_the_network_policy_names_each_family_of_addresses(rendering: Any) -> None:
    [policy] = of_kind(rendering["cases"]["statefulset"], "NetworkPolicy")
    blocks = {one["ipBlock"]["cidr"]: one["ipBlock"]["except"] for one in policy["spec"]["egress"][1]["to"]}
    assert "169.254.0.0/16" in blocks["0.0.0.0/0"]
    assert blocks["::/0"] == ["fc00::/7", "fe80::/10"]
    assert policy["spec"]["ingress"] == []


@pytest.mark.parametrize("name", EVERY)
def test_names_and_labels_are_short_enough(rendering: Any, name: str) -> None:
    for document in rendering["cases"][name]["documents"]:
        assert len(document["metadata"]["name"]) <= 63
        assert all(len(value) <= 63 for value in document["metadata"]["labels"].values())
    assert len(workload(rendering["cases"][name])["metadata"]["name"]) <= 52


def test_the_chart_is_of_this_version(rendering: Any) -> None:
    assert pod(rendering["cases"]["least"])["containers"][0]["image"] == f"kubiya-worker:{__version__}"
    assert pod(rendering["cases"]["everything"])["containers"][0]["image"] == f"kubiya-worker@sha256:{'0' * 64}"


def test_the_notes_show_no_key(rendering: Any) -> None:
    assert 'printf %s "$KEY"' in rendering["cases"]["statefulset"]["notes"]
    assert "a-key-to-try-out" not in rendering["cases"]["everything"]["notes"]


def test_the_manifests_are_what_the_chart_renders(rendering: Any, chart: ModuleType) -> None:
    for example in rendering["examples"]:
        written = (chart.MANIFESTS / example.name).read_text(encoding="utf-8")
        assert written == chart.plain(example, rendering["cases"][example.stem]["files"]), (
            "make test-chart WRITE=--write"
        )
        assert not re.search(r"(?i)\bhelm\b", written)
    assert {one.name for one in chart.MANIFESTS.iterdir()} == {one.name for one in rendering["examples"]}
