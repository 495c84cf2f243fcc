"""A form that a tool's server asks to be filled in: one control for each field, with the server's words beside it."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QLineEdit, QWidget

from desktop.look.language import retold, tr
from desktop.look.tokens import Space
from desktop.widgets.choice import Choice
from desktop.widgets.layouts import column
from desktop.widgets.text import Label
from worker_core.snapshot import QuestionField


class Form(QWidget):
    """`values` has a text for each field that is filled in; whether it fits is for the worker to say."""

    def __init__(self, fields: Sequence[QuestionField]) -> None:
        super().__init__()
        self.controls: dict[str, Choice | QLineEdit] = {}
        rows = []
        for field in fields:
            control = self.controls[field.name] = _control(field)
            label = _label(field)
            rows.append(
                column(Label(f"{label} *" if field.required else label, role="strong"), control, *_about(field), gap=2)
            )
        self.setLayout(column(*rows, gap=Space.S))

    @property
    def values(self) -> dict[str, str]:
        said = {
            name: control.chosen if isinstance(control, Choice) else control.text().strip()
            for name, control in self.controls.items()
        }
        return {name: value for name, value in said.items() if value}


def _label(field: QuestionField) -> str:
    return retold(field.label, field.said)


def _about(field: QuestionField) -> list[Label]:
    several = tr("Several, with commas between them: {options}", options=", ".join(field.options))
    texts = (field.about, several if field.kind == "choices" else "")
    return [Label(text, role="small", tone="muted", wrap=True) for text in texts if text]


def _control(field: QuestionField) -> Choice | QLineEdit:
    nothing = [] if field.required else [("", "—")]
    if field.kind == "boolean":
        options = [*nothing, ("no", tr("No")), ("yes", tr("Yes"))]
        return Choice(_label(field), options, chosen=field.default or ("no" if field.required else ""))
    if field.kind == "choice":
        shown = zip(field.options, field.shown, strict=True)
        return Choice(_label(field), [*nothing, *shown], chosen=field.default)
    line = QLineEdit(field.default)
    line.setAccessibleName(_label(field))
    return line
