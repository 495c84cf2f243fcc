"""Amounts as people read and type them."""

from __future__ import annotations

import pytest

from worker_core.budgets.amounts import AboutQuestion, amount_text, question_fields, view_text
from worker_core.budgets.limits import wished_limits
from worker_core.policy.form import content_of
from worker_core.settings.budget import Kind, Limit
from worker_core.snapshot import BudgetView


@pytest.mark.parametrize(
    ("kind", "amount", "text"),
    [
        ("tokens", 2000, "2,000 tokens"), ("model_calls", 1, "1 model call"), ("tool_calls", 3, "3 tool calls"),
        ("cost", 5, "$5.00"), ("cost", 0, "$0.00"), ("cost", 0.0025, "$0.0025"), ("wall_time", 7200, "2 h"),
    ],
)  # fmt: skip
def test_an_amount_is_read_with_its_unit(kind: Kind, amount: float, text: str) -> None:
    assert amount_text(kind, amount) == text


def test_a_view_says_how_far_and_what_is_unknown() -> None:
    assert view_text(BudgetView(scope="turn", kind="tokens", spent=1200, limit=2000)) == "turn: 1,200 of 2,000 tokens"
    view = BudgetView(scope="day", kind="cost", spent=0.5, limit=5, unknown=True)
    assert view_text(view) == "day: $0.50 of $5.00 (some prices are unknown)"


@pytest.mark.parametrize("kind", ["tokens", "cost", "model_calls", "tool_calls", "wall_time"])
def test_who_fills_in_nothing_allows_as_much_again(kind: Kind) -> None:
    limit = Limit(scope="turn", kind=kind, amount=250)
    about = AboutQuestion(scope="turn", kind=kind, amount=250, turn=1)
    assert about.more(content_of(question_fields(limit), {})) == (kind, 250)
    assert about.more(content_of(question_fields(limit), {"more": "7"})) == (kind, 7)


@pytest.mark.parametrize("given", [0, -5, True, "many", None, float("nan"), 1e300])
def test_what_the_control_plane_fills_in_is_an_amount_or_nothing(given: object) -> None:
    assert AboutQuestion(scope="turn", kind="tokens", amount=250, turn=1).more({"more": given}) == ("tokens", 250)


@pytest.mark.parametrize("wished", [{"turn": 5}, ["turn.tokens"], 7, {"turn": {"tokens": [1]}}, "turn.tokens=-1"])
def test_what_came_with_an_execution_and_is_no_budget_is_said(wished: object) -> None:
    limits, [sentence] = wished_limits(wished)
    assert limits == ()
    assert "is not honoured" in sentence
    assert wished_limits(None) == ((), ())
