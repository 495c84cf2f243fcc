"""Windows: a task that starts when the user logs on (Task Scheduler's schema). Written by the documents, and not run.

It runs as the user, who has his keychain, and needs no password of a service. The scheduler starts it again after a
failure, whatever the exit code says, and has no watchdog.
"""

from __future__ import annotations

import subprocess
from typing import Final
from xml.etree import ElementTree

from worker_core.key_sources import API_KEY, LLM_API_KEY
from worker_core.services.plan import ServicePlan
from worker_core.settings import SETTINGS, Kind

NAMESPACE: Final = "http://schemas.microsoft.com/windows/2004/02/mit/task"
_KEY_FLAGS: Final = {
    API_KEY.credential: SETTINGS["api_key_file"].flag,
    LLM_API_KEY.credential: SETTINGS["llm_api_key_file"].flag,
}


def task_name(plan: ServicePlan) -> str:
    return f"\\Kubiya\\{plan.label}"


def arguments(plan: ServicePlan) -> list[str]:
    """Behind the program: a task has no variables of its own, so settings are flags. Those without one are left out."""
    words = list(plan.program[1:])
    for name, text in plan.settings.items():
        setting = SETTINGS[name]
        if setting.flag and setting.kind is not Kind.SWITCH:
            words += [setting.flag, text]
        elif setting.flag and setting.read(text):
            words.append(setting.flag)
    for credential, file in plan.keys.items():
        words += [_KEY_FLAGS[credential], str(file)]
    return words


def task(plan: ServicePlan, *, user: str) -> bytes:
    r"""The task as `schtasks /Create /XML` reads it, in UTF-16.

    Args:
        plan: of the service.
        user: `DOMAIN\name`, whose log-on starts it.
    """
    root = ElementTree.Element("Task", {"version": "1.2", "xmlns": NAMESPACE})
    _add(root, "RegistrationInfo", {"Description": "Kubiya Worker: executes AI-agent workflows on this machine."})
    trigger = _add(_add(root, "Triggers"), "LogonTrigger", {"Enabled": "true", "UserId": user})
    assert trigger is not None
    principal = {"UserId": user, "LogonType": "InteractiveToken", "RunLevel": "LeastPrivilege"}
    _add(_add(root, "Principals"), "Principal", principal, id="Author")
    settings = _add(
        root,
        "Settings",
        {
            "MultipleInstancesPolicy": "IgnoreNew",
            "DisallowStartIfOnBatteries": "false",
            "StopIfGoingOnBatteries": "false",
            "AllowHardTerminate": "true",
            "StartWhenAvailable": "true",
            "ExecutionTimeLimit": "PT0S",  # none; it would be three days
            "Priority": "5",  # normal; 7, the default, is below that
        },
    )
    _add(settings, "RestartOnFailure", {"Interval": "PT1M", "Count": "999"})
    program = {"Command": plan.program[0], "Arguments": subprocess.list2cmdline(arguments(plan))}
    _add(_add(root, "Actions", Context="Author"), "Exec", program)
    ElementTree.indent(root)
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-16"?>\n{text}\n'.encode("utf-16")


def _add(
    parent: ElementTree.Element, name: str, texts: dict[str, str] | None = None, **attributes: str
) -> ElementTree.Element:
    made = ElementTree.SubElement(parent, name, attributes)
    for child, text in (texts or {}).items():
        ElementTree.SubElement(made, child).text = text
    return made
