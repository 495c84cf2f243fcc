"""Kubernetes' Pod Security Standard "restricted" and OpenShift's restricted-v2, as sentences about what breaks them.

From kubernetes.io/docs/concepts/security/pod-security-standards and the manifest of the security context constraint.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def _containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", []), *pod["containers"], *pod.get("ephemeralContainers", [])]


def breaks_restricted(pod: dict[str, Any]) -> Iterator[str]:
    """Of a pod's `spec`. An unmasked /proc is let pass where the pod has user namespaces, as the standard does."""
    whole = pod.get("securityContext", {})
    yield from (f"{name} is set" for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for volume in pod.get("volumes", []):
        yield from (f"a volume is a {kind}" for kind in volume.keys() - {"name"} - _VOLUMES)
    if whole.get("sysctls"):
        yield "sysctls are set"
    for one in _containers(pod):
        own = one.get("securityContext", {})
        said = {**whole, **own}
        name = one["name"]
        if own.get("privileged"):
            yield f"{name} is privileged"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain privileges"
        capabilities = own.get("capabilities", {})
        if capabilities.get("drop") != ["ALL"] or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
            yield f"{name} keeps capabilities"
        if said.get("runAsNonRoot") is not True or said.get("runAsUser") == 0:
            yield f"{name} may be root"
        if said.get("seccompProfile", {}).get("type") not in {"RuntimeDefault", "Localhost"}:
            yield f"{name} has no system-call filter"
        if own.get("procMount", "Default") != "Default" and pod.get("hostUsers") is not False:
            yield f"{name} sees the whole /proc"
        if any(port.get("hostPort") for port in one.get("ports", [])):
            yield f"{name} takes a port of the node"
        if (
            set(said.get("seLinuxOptions", {})) & {"user", "role"}
            or said.get("appArmorProfile", {}).get("type") == "Unconfined"
        ):
            yield f"{name} has rights of its own in SELinux or AppArmor"


def breaks_restricted_v2(pod: dict[str, Any]) -> Iterator[str]:
    """Besides, what OpenShift's default refuses: it chooses user, group and label itself."""
    yield from breaks_restricted(pod)
    for place in (pod, *_containers(pod)):
        said = place.get("securityContext", {})
        for name in said.keys() & {"runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seLinuxOptions"}:
            yield f"{name} is chosen"
        if said.get("seccompProfile", {}).get("type", "RuntimeDefault") != "RuntimeDefault":
            yield "the system-call filter is another"
        if said.get("procMount", "Default") != "Default":
            yield "the whole /proc is seen"
