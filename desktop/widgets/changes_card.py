"""What an execution changed in its copy of a repository, and what its owner does with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from PySide6.QtWidgets import QFrame

from desktop.look.language import tr
from desktop.look.tokens import Space
from desktop.widgets.buttons import Button
from desktop.widgets.code import CodeText
from desktop.widgets.layouts import column, row
from desktop.widgets.text import ElidedLabel, Label
from worker_core.basics.visible import visible, visible_line

if TYPE_CHECKING:
    from worker_core.checkouts.changes import Changes

MOST_CHARACTERS = 200_000
"""Of a diff that is shown; the terminal shows all of it."""

_LINES = 14


class ChangesCard(QFrame):
    """One state of the files: what is merged is held to it."""

    def __init__(
        self,
        changes: Changes,
        *,
        merge: Callable[[str], object],
        discard: Callable[[], object],
        close: Callable[[], object],
    ) -> None:
        """`merge` is called with the seal of what is shown."""
        super().__init__()
        self.setProperty("ground", "card")
        where = visible_line(changes.checkout.repository)
        title = tr("Changes in a copy of {folder}", folder=where)
        self.setAccessibleName(title)
        lines = [_line(one.path, one.added, one.removed) for one in changes.files]
        summary = "\n".join(lines) or tr("Nothing was changed.")
        diff = CodeText(tr("What was changed"), language="diff", lines=_LINES, wraps=True, shrinks=True)
        diff.show_text(f"{summary}\n\n{visible(changes.diff[:MOST_CHARACTERS])}".rstrip())
        shown_whole = len(changes.diff) <= MOST_CHARACTERS
        cut = Label(
            tr("There is more than fits: `kubiya-worker changes show` has all of it."), role="small", tone="muted"
        )
        cut.setVisible(not shown_whole)
        self._merge = Button(tr("Merge"), icon="check", variant="primary")
        self._discard = Button(tr("Discard"), variant="danger")
        hide = Button(tr("Close"), variant="quiet")
        self._merge.clicked.connect(lambda: merge(changes.seal))
        self._discard.clicked.connect(lambda: discard())
        hide.clicked.connect(lambda: close())
        # What was not shown is not merged from here.
        self._merge.setEnabled(bool(changes.files) and shown_whole)
        self._discard.setEnabled(bool(changes.files))
        self.setLayout(
            column(
                ElidedLabel(title, role="strong"),
                diff,
                cut,
                row(self._merge, self._discard, None, hide),
                gap=Space.S,
                margins=(16, 14, 16, 14),
            )
        )


def _line(path: str, added: int | None, removed: int | None) -> str:
    counts = tr("no text") if added is None else f"+{added} -{removed}"
    return f"{counts:>12}  {visible_line(path)}"
