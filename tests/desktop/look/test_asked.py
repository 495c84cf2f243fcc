"""Why a call is asked about is said in the language of the window; what the agent wrote is what is seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from desktop.look import language
from desktop.look.asked import in_one_line, part_name, part_text
from worker_core.basics.sentences import worded
from worker_core.basics.visible import visible_line
from worker_core.logs.redaction import Redactor
from worker_core.policy.builtin import built_in_rules
from worker_core.policy.question_text import compose, shown
from worker_core.policy.rules import Action, Finding, Rule, Subject
from worker_core.snapshot import QuestionPart

OWN = Rule(action=Action.ASK, host=("*",), file="policy.toml", line=3)
BUILT_IN = next(rule for rule in built_in_rules() if rule.action is Action.ASK and "sudo *" in rule.command)


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    language.use({})


def asked(*subjects: Subject, rule: Rule, pattern: str) -> QuestionPart:
    findings = [Finding(action=Action.ASK, subject=one, rule=rule, pattern=pattern) for one in subjects]
    return compose({}, asking=findings, redactor=Redactor())[-1]


def test_reasons_in_the_language_of_the_window() -> None:
    part = asked(Subject(kind="command", text="sudo ls"), rule=BUILT_IN, pattern="sudo *")
    own = asked(Subject(kind="host", text="a.example"), rule=OWN, pattern="*")
    doubt = worded("It may run what a rule is about: {rule}.", rule="deny command = 'rm *'")
    unclear = asked(Subject(kind="command", text="x", unclear=doubt), rule=OWN, pattern="*")
    english = "the command sudo ls: It reaches beyond the workspace. (ask command = 'sudo *', built in)"
    assert (part_name(part), part_text(part)) == ("asked because", english)
    language.load(["de"])
    assert part_name(part) == "gefragt, weil"
    assert part_text(part) == (
        "der Befehl sudo ls: Das reicht über den Arbeitsordner hinaus. (ask command = 'sudo *', eingebaut)"
    )
    assert part_text(own) == "der Rechner a.example (ask host = '*', policy.toml:3)"
    assert part_text(unclear) == (
        "der Befehl x: Er kann ausführen, wovon eine Regel handelt: deny command = 'rm *'. "
        "(ask host = '*', policy.toml:3)"
    )
    assert part.text == english, "log, terminal and control plane read this"
    language.load(["ja"])
    assert part_text(part) == "コマンド sudo ls：ワークスペースの外に影響します。（ask command = 'sudo *'、組み込み）"


@pytest.mark.parametrize("name", ["en", "de", "es", "fr", "ja"])
def test_what_the_agent_wrote_stays_as_it_is(name: str) -> None:
    """Not a template, not a sentence that is translated, and no blank less."""
    language.load([name])
    for hostile in (
        "{why} {rule}",
        "It reaches beyond the workspace.",
        "built in",
        "a。 b。 c",
        "x: Polling. (y)\u202e",
    ):
        shown = part_text(asked(Subject(kind="command", text=hostile), rule=BUILT_IN, pattern="sudo *"))
        assert shown.count(visible_line(hostile)) >= 1
        assert language.tr("the command {text}", text=visible_line(hostile)) in shown


def test_an_earlier_worker_s_reason_is_english() -> None:
    language.load(["de"])
    part = QuestionPart(name="asked because", text="the command a (ask, x:1)", kind="reason")
    assert part_text(part) == part.text


def test_one_line_for_menus_and_notifications() -> None:
    parts = (
        QuestionPart(name="command", text="ls\nrm"),
        QuestionPart(name="working folder", text="/w", kind="place"),
        QuestionPart(name="asked because", text="x", kind="reason"),
    )
    assert in_one_line(parts) == "command: ls<U+000A>rm  asked because: x"
    reason = asked(*(Subject(kind="host", text=one) for one in ("a", "b")), rule=OWN, pattern="*")
    assert in_one_line([*parts[:2], reason]) == (
        "command: ls<U+000A>rm  asked because: the host a (ask host = '*', policy.toml:3); "
        "the host b (ask host = '*', policy.toml:3)"
    )
    language.load(["fr"])
    french = in_one_line([*parts[:2], asked(Subject(kind="command", text="a"), rule=BUILT_IN, pattern="sudo *")])
    assert french.endswith(
        "la commande a\u00a0: Cela va au-delà de l’espace de travail. (ask command = 'sudo *', intégrée)"
    )
    assert "<U+00A0>" not in french
    assert len(in_one_line([QuestionPart(name="command", text="x" * 9000)])) < 2100


def test_what_cannot_be_named_is_counted_in_the_language_of_the_window() -> None:
    language.load(["de"])
    asked = compose({"a\nb": "1"}, redactor=Redactor())
    assert [part_name(part) for part in asked] == ["Argument 1"]
    many = shown(compose({f"name{n}": "x" for n in range(90)}, redactor=Redactor()))
    assert [part_name(part) for part in many if part.left_out] == ["31 weitere Argumente"]
