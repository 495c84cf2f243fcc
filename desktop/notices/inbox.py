"""What was said as things: what needs the person now on top, then what is put off, then news by day. Knows no Qt."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, time

from desktop.look.language import day_text, tr
from desktop.notices.action import Action
from desktop.notices.notice import Notice
from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxItem:
    """A thing, however often it was told."""

    notice: Notice
    """Told last of it."""

    count: int
    stands: bool
    """It needs the person now."""

    snoozed_until: datetime | None = None
    is_known: bool = True
    """Whether anybody has said that it needs the person, or does not: after a restart, a worker must say it first."""

    under_its_day: bool = False
    """The title above it names the day on which it was told."""

    @property
    def is_over(self) -> bool:
        """It needed the person, and does not any more."""
        return self.notice.stands and not self.stands and self.is_known


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxSection:
    title: str
    items: tuple[InboxItem, ...]


def sections(
    history: Iterable[Notice],
    standing: Mapping[str, Notice],
    *,
    snoozed_until: Callable[[str], datetime | None],
    now: datetime,
    knows_questions: bool = True,
) -> tuple[InboxSection, ...]:
    """Those that have items. Questions come before troubles, and in a section the newest before the others.

    Args:
        history: what was said, oldest first.
        standing: what needs the person now, by its thing.
        snoozed_until: of a thing; None: it is not put off.
        now: which days are today and yesterday, in local time.
        knows_questions: whether `standing` has the questions that wait; a worker has not said so far.
    """
    told: dict[str, list[Notice]] = {}
    for notice in history:
        told.setdefault(notice.thing, []).append(notice)
    for thing, notice in standing.items():
        told.setdefault(thing, [notice])
    items = [
        InboxItem(
            notice=standing.get(thing, notices[-1]),
            count=len(notices),
            stands=thing in standing,
            snoozed_until=snoozed_until(thing),
            is_known=knows_questions or notices[-1].action is not Action.OPEN_APPROVAL,
        )
        for thing, notices in told.items()
    ]
    items.sort(key=lambda one: one.notice.at, reverse=True)
    needed = sorted(
        (one for one in items if one.stands and one.snoozed_until is None), key=lambda one: -one.notice.level
    )
    snoozed = [one for one in items if one.snoozed_until is not None]
    days: dict[date, list[InboxItem]] = {}
    for one in items:
        if not one.stands and one.snoozed_until is None:
            dated = replace(one, under_its_day=True)
            days.setdefault(one.notice.at.astimezone().date(), []).append(dated)
    found = [(tr("Needs you now"), needed), (tr("Snoozed"), snoozed)]
    found += [(_called(day, now.astimezone().date()), days[day]) for day in sorted(days, reverse=True)]
    return tuple(InboxSection(title=title, items=tuple(some)) for title, some in found if some)


def _called(day: date, today: date) -> str:
    if day == today:
        return tr("Today")
    if (today - day).days == 1:
        return tr("Yesterday")
    return day_text(datetime.combine(day, time()))
