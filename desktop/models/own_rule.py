"""What is said of a rule while somebody changes it, before it is written."""

from __future__ import annotations

from desktop.look.language import tr
from desktop.models.conversation_items import Approval
from worker_core.basics.quick_dataclass import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVerdict:
    """`fits`: it may be written for the call in question; `is_wider`: it is about others, too."""

    sentence: str
    fits: bool
    is_wider: bool = False


def verdict(approval: Approval, text: str) -> RuleVerdict:
    """Of what stands in the place of the rule that was shown. The worker judges again, by the call itself."""
    from worker_core.policy.own_rule import NotThatRule, is_exact, read_rules  # reads policies: with the first change

    try:
        rules = read_rules(text, proposed=approval.rule, tool=approval.tool, workspace=approval.workspace)
    except NotThatRule as error:
        sentences = {
            "other": tr("Only rules that allow can be added here, below [[allow]]. Settings has the whole policy."),
            "weak": tr("Each rule needs always = true: without it, a rule that asks comes first."),
            "override": tr("A changed rule cannot have override = true: what is built in as denied stays denied."),
            "misses": tr("It does not fit this call: some of it would be asked about again."),
        }
        return RuleVerdict(sentence=sentences.get(error.fault, error.sentence), fits=False)
    if all(map(is_exact, rules)):
        return RuleVerdict(sentence=tr("It fits this call, and nothing that is not written out in it."), fits=True)
    return RuleVerdict(
        sentence=tr("It fits this call, and others: whatever fits is not asked about again."), fits=True, is_wider=True
    )
