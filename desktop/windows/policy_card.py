"""Settings, the policy: its file as text, checked as it is typed, saved only where the worker could read it."""

from __future__ import annotations

from PySide6.QtGui import QTextCursor
from PySide6.QtWidgets import QPlainTextEdit, QWidget

from desktop.look.language import fact, tr
from desktop.look.theme import theme
from desktop.settings.policy_trial import PolicyTrial
from desktop.widgets.buttons import Button
from desktop.widgets.layouts import row
from desktop.widgets.rule_rows import RuleRows
from desktop.widgets.surfaces import Card, Line
from desktop.widgets.text import Label
from desktop.windows.desk import Desk
from desktop.windows.trial_panel import TrialPanel
from worker_core.errors import KubiyaError


class PolicyCard(Card):
    """Of the policy file of this machine."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(tr("Policy"))
        self._desk, store = desk, desk.policy
        try:
            text, unreadable = store.text(), ""
        except KubiyaError as error:
            text, unreadable = "", fact(error)
        editor = self._editor = QPlainTextEdit(text)
        editor.setReadOnly(bool(unreadable))
        editor.setProperty("variant", "field")
        editor.setFont(theme().font("code"))
        editor.setAccessibleName(tr("Policy"))
        editor.setTabChangesFocus(True)
        editor.setMinimumHeight(220)
        rules, wrong = store.read(text)
        wrong = unreadable or wrong
        verdict = Label(wrong, role="small", tone="danger" if wrong else "muted", wrap=True)
        save = self._save = Button(tr("Save the policy"), variant="primary")
        save.setEnabled(False)

        rows = RuleRows()
        rows.chosen.connect(lambda number: _go_to(editor, number))
        rows.show_rules(rules or ())

        def check() -> None:
            rules, wrong = store.read(editor.toPlainText())
            if rules is not None:
                rows.show_rules(rules)
            verdict.set_tone("danger" if wrong else "success")
            verdict.setText(wrong or tr("The policy can be read."))
            save.setEnabled(not wrong and editor.toPlainText() != text)

        def write() -> None:
            nonlocal text
            try:
                store.save(editor.toPlainText())
            except KubiyaError as error:
                desk.frame.say(fact(error))
            else:
                text = editor.toPlainText()
                save.setEnabled(False)
                desk.frame.say(tr("The policy is saved."), tone="success")

        editor.textChanged.connect(check)
        save.clicked.connect(write)
        self.body.addWidget(Label(tr("What agents may do, must ask about, and may never do."), tone="muted", wrap=True))
        self.body.addWidget(rows)
        self.body.addWidget(editor)
        line = row(verdict, save)
        line.setStretch(0, 1)
        self.body.addLayout(line)

    def add_trial(self) -> None:
        """What becomes of a call, between the rules and their text."""
        trial = PolicyTrial(settings=self._desk.settings, snapshot=lambda: self._desk.worker.snapshot)
        panel = TrialPanel(
            trial.judge, self._desk.background, policy=self._editor.toPlainText, usual_id=trial.usual_id()
        )
        panel.line_wanted.connect(lambda number: _go_to(self._editor, number))
        self._editor.textChanged.connect(panel.try_again)
        at = self.body.indexOf(self._editor)
        for part in (Line(), panel, Line()):
            self.body.insertWidget(at, part)
            part.show()
            at += 1
        QWidget.setTabOrder(panel.ids, self._editor)
        QWidget.setTabOrder(self._editor, self._save)


def _go_to(editor: QPlainTextEdit, number: int) -> None:
    """Before the eyes, and to the keyboard."""
    editor.setTextCursor(QTextCursor(editor.document().findBlockByNumber(number - 1)))
    editor.centerCursor()
    editor.setFocus()
