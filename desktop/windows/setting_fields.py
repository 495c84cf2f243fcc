"""The settings page's fields, from the declarations: what each is called, what it means, how it is typed."""

from __future__ import annotations

from desktop.look.language import tr, translated
from worker_core.basics.quick_dataclass import dataclass
from worker_core.settings import SETTINGS, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldText:
    """How one field is shown. `options` are the values of a choice."""

    group: str
    title: str
    meaning: str
    kind: Kind
    options: tuple[str, ...] = ()


def shown_fields() -> dict[str, FieldText]:
    """All fields of `Settings` that hold no secret, in the order of their declarations, in the window's language."""
    return {
        name: FieldText(
            group=translated(one.group),
            title=translated(one.title),
            meaning=translated(one.meaning),
            kind=one.kind,
            options=one.choices,
        )
        for name, one in SETTINGS.items()
        if one.kind is not Kind.SECRET
    }


def empty_text(name: str) -> str:
    """What holds where nothing is filled in, to stand in the empty field."""
    return {
        "max_executions": tr("Auto"),
        "max_activities": tr("Auto"),
        "heartbeat_interval": tr("Auto"),
        "llm_base_url": tr("The control plane's"),
        "ca_file": tr("Those of the system"),
        "model_override": tr("What each execution asks for"),
    }.get(name, tr("None"))


def option_text(option: str) -> str:
    """A choice's value for people; names of mechanisms and levels as they are."""
    return {
        "auto": tr("Auto"),
        "on": tr("On"),
        "off": tr("Off"),
        "none": tr("None"),
        "ask": tr("Ask"),
        "allow": tr("Allow"),
        "deny": tr("Deny"),
        "always": tr("Always"),
        "never": tr("Never"),
        "fail": tr("Fail"),
        "ignore": tr("Ignore"),
        "default": tr("Default runtime"),
        "host": tr("Host"),
        "allow-list": tr("Allow-list"),
    }.get(option, option)
