"""Every word that people read has a translation, and the window can be used in each language."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication

from desktop.look import language
from desktop.look.language import LANGUAGES, fact, retold, tr
from desktop.look.qt_words import translate_qt
from desktop.look.standing import explanation
from desktop.look.wording import pause_reason, queue_reason, step_text
from desktop.settings.policy_store import PolicyStore
from desktop.windows.setting_fields import option_text
from tests.support.scripts import script
from worker_core.basics.sentences import joined, worded
from worker_core.budgets.amounts import question_fields
from worker_core.budgets.ledger import Spending
from worker_core.budgets.limits import Reached
from worker_core.control_plane.errors import from_status
from worker_core.errors import KubiyaError
from worker_core.policy.form import WrongValues, content_of
from worker_core.settings import SETTINGS
from worker_core.settings.budget import Limit
from worker_core.snapshot import EngineSnapshot, EngineState, QuestionField, QueueView
from worker_core.summary import Standing, summary

ROOT = Path(__file__).parents[3]
SHOWS_ITS_TEXT = {
    "setText", "setToolTip", "setWindowTitle", "setPlaceholderText", "addAction", "addMenu", "setAccessibleName",
    "setAccessibleDescription", "setTitle", "QLabel", "QPushButton", "QAction", "Label", "Text",
}  # fmt: skip
NAMES = {"Kubiya Worker", "cut off", "git push origin main"}
"""The program's own, that of a picture, and a command."""

SAYS_SETTINGS = {"setting_fields.py", "policy_trial.py"}
"""Both of desktop: what names a setting of the worker."""

SENTENCE = re.compile(r"[^\W\d_]+(?:[ ,:;’'()/-]+\w+)*(?: \w+)+[ .,:;…!?)]*")
"""Words with spaces between them; not a style sheet, a format or an identifier."""

EXPLAINED = {
    SETTINGS["require_sandbox"].meaning: ("always", "never", "ask"),
    SETTINGS["network"].meaning: ("on", "allow-list", "host"),
    SETTINGS["hook_failure"].meaning: ("fail", "ignore"),
}

SAYS_TO_VIEWS = (
    "budgets/limits.py",
    "budgets/prices.py",
    "budgets/questions.py",
    "budgets/usage.py",
    "checkouts/changes.py",
    "checkouts/git.py",
    "checkouts/record.py",
    "checks/network.py",
    "checks/reach.py",
    "control_plane/caller.py",
    "control_plane/connections.py",
    "control_plane/errors.py",
    "control_plane/outbox/outbox.py",
    "control_plane/outbox/spool_thread.py",
    "control_plane/session.py",
    "control_plane/streams.py",
    "control_plane/wire.py",
    "control_socket/client.py",
    "engine/departure.py",
    "engine/engine.py",
    "engine/housekeeping.py",
    "engine/serving.py",
    "engine/single_execution.py",
    "key_sources.py",
    "machine/changes.py",
    "machine/identity.py",
    "network/http.py",
    "network/named_proxy.py",
    "network/urls.py",
    "paths.py",
    "policy/answers.py",
    "policy/file.py",
    "policy/form.py",
    "policy/own_rule.py",
    "policy/questions.py",
    "policy/spelling.py",
    "sandbox/choice.py",
    "sandbox/container.py",
    "sandbox/landlock_sandbox.py",
    "sandbox/linux.py",
    "secrets.py",
    "settings/load.py",
    "settings/text_file.py",
    "snapshot.py",
    "summary.py",
    "temporal/connection.py",
)

NOT_SHOWN = {"tr", "worded", "with_repair", "compile", "search", "EventDeliveryInterrupted"}
"""Calls whose texts are translated, or are none that a window shows."""

SEEN_ELSEWHERE = {
    "this worker runs tools in a sandbox only, and has none. ",  # by an agent
    "; the next call looks again.",  # an end that is compared
    "; it is read once and taken out of the environment.",  # what repairs it in a terminal
    "A Secret is not pickled: it would leave the process.",
    "The budget that came with this execution is not honoured: ",  # in the log
    ". This machine's own holds.",
    # What repairs it in a terminal; a window says something else.
    "Let the system keep its time: `timedatectl set-ntp true`, or the date settings.",
    "If TLS is right, check the port and --ca-file; if not, say so: --temporal-tls off.",
    "Name your authority's PEM in --ca-file.",
    "Let outgoing connections to it through the firewall; check --temporal-tls and --ca-file.",
    # Checks of the doctor that the window does not make.
    "Start it, or correct `mcp_hosts`. Agents without it go on without its tools.",
    "No server of your own is named: what agents bring is looked at when they begin.",
}

tool = script("languages")


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    yield
    language.use({})


def test_there_is_a_catalogue_for_each_language_but_english() -> None:
    assert {"en", *tool.catalogues()} == {code for code, _ in LANGUAGES}


@pytest.mark.parametrize("name", sorted(tool.catalogues()))
def test_a_catalogue_has_every_text_and_no_other(name: str) -> None:
    texts, catalogue = tool.said(), tool.catalogues()[name]
    assert sorted(texts - catalogue.keys()) == [], "python scripts/languages.py lists what is missing"
    assert sorted(catalogue.keys() - texts) == []
    assert [text for text, said in catalogue.items() if not said.strip()] == []
    assert list(catalogue) == sorted(catalogue), "in order, so that two changes rarely meet in one place"


@pytest.mark.parametrize("name", sorted(tool.catalogues()))
def test_a_translation_says_the_same_values(name: str) -> None:
    for text, said in tool.catalogues()[name].items():
        assert tool.placeholders(text) == tool.placeholders(said), text


def test_no_text_is_shown_past_tr() -> None:
    bare = []
    for file, call in tool.calls():
        text = call.args[0] if call.args and tool.name_of(call) in SHOWS_ITS_TEXT else None
        shown = text.value if isinstance(text, ast.Constant) and isinstance(text.value, str) else ""
        if shown not in NAMES and any(letter.isalpha() for letter in shown):
            bare.append(f"{file.relative_to(ROOT)}:{call.lineno}: {shown!r}")
    assert bare == []


def test_no_sentence_of_what_is_drawn_is_written_past_tr() -> None:
    """Wherever it goes to: as an argument, in a table, in a constant. Docstrings and what the log says are English."""
    bare = []
    for room in ("models", "tray", "widgets", "windows"):
        for file in sorted((ROOT / "desktop" / room).glob("*.py")):
            tree = ast.parse(file.read_text(encoding="utf-8"))
            spared = {id(part) for node in ast.walk(tree) if is_spared(node) for part in ast.walk(node)}
            for node in ast.walk(tree):
                text = node.value if isinstance(node, ast.Constant) and id(node) not in spared else None
                if isinstance(text, str) and text not in NAMES and SENTENCE.fullmatch(text.strip()):
                    bare.append(f"{file.relative_to(ROOT)}:{node.lineno}: {text!r}")
    assert bare == []


def is_spared(node: ast.AST) -> bool:
    """A docstring, an assertion, a call of `tr` or of the log."""
    if isinstance(node, ast.Call):
        owner = getattr(node.func, "value", None)
        return tool.name_of(node) in {"tr", "worded"} or getattr(owner, "id", "") == "log"
    return isinstance(node, ast.Assert) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))


def test_only_settings_are_translated_from_their_declarations() -> None:
    assert {file.name for file, call in tool.calls() if tool.name_of(call) == "translated"} == SAYS_SETTINGS


@pytest.mark.parametrize(
    ("names", "code", "stopped"),
    [
        (["de-AT", "en"], "de", "Gestoppt"),
        (["pt", "es_MX"], "es", "Detenido"),
        (["en-GB", "de"], "en", "Stopped"),
        (["pt"], "en", "Stopped"),
        (["fr-CA", "en-CA"], "fr", "Arrêté"),
        (["ja_JP", "en"], "ja", "停止"),
        ([], "en", "Stopped"),
    ],
)
def test_the_first_language_that_is_spoken(names: list[str], code: str, stopped: str) -> None:
    assert language.load(names) == code
    assert tr("Stopped") == stopped


@pytest.mark.parametrize("name", sorted(tool.catalogues()))
def test_qt_speaks_as_the_window_does(qapp: QCoreApplication, name: str) -> None:
    translator = translate_qt(qapp, name)
    assert translator is not None
    try:
        assert QCoreApplication.translate("QPlatformTheme", "Cancel") == tool.catalogues()[name]["Cancel"]
    finally:
        qapp.removeTranslator(translator)
    assert QCoreApplication.translate("QPlatformTheme", "Cancel") == "Cancel"
    assert translate_qt(qapp, "xx") is None


@pytest.mark.parametrize("name", sorted(tool.catalogues()))
def test_an_option_is_explained_by_the_name_it_is_shown_with(name: str) -> None:
    language.load([name])
    for text, options in EXPLAINED.items():
        assert [option for option in options if option_text(option) not in tr(text)] == [], text


def test_pictures_show_words_that_the_program_says() -> None:
    shown = {notice.title for notice in script("demo_data").notices()}
    assert shown - tool.said() == set()


def test_values_are_put_in_and_what_is_missing_stays_english() -> None:
    language.use({"{count} more": "noch {count}"})
    assert tr("{count} more", count=3) == "noch 3"
    assert tr("Stopped") == "Stopped"


def test_a_worker_is_told_in_the_language_of_the_window() -> None:
    language.load(["de"])
    said = joined(
        worded("Temporal at {host} (namespace {namespace}, {manner}) cannot be reached: {why}.",
               host="t.example.com:7233", namespace="n", manner=worded("with TLS"), why="broken pipe"),
        worded("Trying again in {n} s.", n=1234),
        "Plain {text}.",
        worded("Of a newer {what}.", what="worker"),
        worded("Stopped: no execution came within {minutes} min.", minutes=2.5),
    )  # fmt: skip
    told = retold(str(said), said.said)
    assert told == (
        "Keine Verbindung zu Temporal auf t.example.com:7233 (Namensraum n, mit TLS): broken pipe. "
        "Neuer Versuch in 1.234 s. Plain {text}. Of a newer worker. "
        "Gestoppt: Innerhalb von 2,5 min kam keine Ausführung."
    )
    assert retold(said) == told
    assert retold("Of an older worker.", ()) == "Of an older worker."
    language.use({})
    assert retold(str(said), said.said) == str(said)


def test_an_error_is_told_without_what_repairs_it_in_a_terminal() -> None:
    language.load(["es"])
    error = KubiyaError(worded("There is no API key.")).with_repair("Run `kubiya-worker login`.")
    assert fact(error) == "No hay ninguna clave de API."
    assert fact(KubiyaError("It failed.").with_repair("Do it again.")) == "It failed."


def test_what_is_wrong_with_a_policy_is_told_in_the_language_of_the_window(tmp_path: Path) -> None:
    language.load(["de"])
    store = PolicyStore(tmp_path / "policy.toml")
    assert store.read("[[ask]]\nhost = 'https://example.com'\n")[1] == (
        "policy.toml, Zeile 2: host nennt mehr als einen Host; schreiben Sie example.com, oder *.example.com für alle "
        "Namen darunter."
    )
    assert store.read("[[deny]]\nalways = true\n")[1] == "policy.toml, Zeile 2: always hat bei deny keine Bedeutung."


def test_a_budget_is_told_with_the_numbers_of_the_language() -> None:
    language.load(["de"])
    limit = Limit(scope="day", kind="tokens", amount=2_000_000)
    said = Reached(limit=limit, allowed=2_000_000, spent=Spending(tokens=2_000_137)).sentence(price_file=Path("p.toml"))
    assert said == "The budget of 2,000,000 tokens for today is used up (2,000,137 tokens)."
    assert retold(said) == "Das Budget von 2.000.000 Tokens (heute) ist aufgebraucht (2.000.137 Tokens)."
    costs = Reached(limit=replace(limit, kind="cost"), allowed=1.5, spent=Spending(cost=1234.5))
    told = retold(costs.sentence(price_file=Path("p.toml")))
    assert told == "Das Budget von 1,50 $ (heute) ist aufgebraucht (1.234,50 $)."
    [field] = question_fields(limit)
    assert (field.label, retold(field.label, field.said)) == ("How many more tokens", "Wie viele Tokens mehr")


def test_an_answer_that_is_refused_is_told_in_the_language_of_the_window() -> None:
    language.load(["de"])
    fields = (QuestionField(name="size", label="Size", kind="integer", least=1, most=12_000),)
    with pytest.raises(WrongValues) as refused:
        content_of(fields, {"size": "20000"})
    assert refused.value.sentence == "The form's field 'size' takes a number from 1 to 12,000."
    assert fact(refused.value) == "Das Feld 'size' des Formulars nimmt eine Zahl von 1 bis 12.000."


def test_a_queue_that_is_refused_is_told_without_what_repairs_it_in_a_terminal() -> None:
    language.load(["de"])
    error = from_status(401, action="it", server="cp.example.com", said="")
    queue = QueueView(queue_id="q", reason=error.said, repair=error.repair)
    assert queue.reason == error.sentence
    german = "Die Control Plane cp.example.com hat den API-Schlüssel abgelehnt (401)."
    assert queue_reason(queue) == german
    refused = summary(EngineSnapshot(state=EngineState.RUNNING, queues=(queue,)))
    assert (refused.standing, refused.sentence) == (Standing.NOT_SERVED, error.sentence)
    assert explanation(refused, datetime.now(UTC)) == german


def test_a_pause_is_english_to_the_worker_and_said_in_the_language_of_the_window() -> None:
    language.load(["de"])
    now = datetime(2026, 11, 29, 20, 0).astimezone()
    for until, english, german in (
        (None, "Paused by you.", "Von Ihnen angehalten."),
        (now + timedelta(minutes=30), "Paused by you until 20:30.", "Von Ihnen angehalten bis 20:30."),
        (now + timedelta(hours=12), "Paused by you until tomorrow 08:00.", "Von Ihnen angehalten bis morgen 08:00."),
        (
            now + timedelta(days=2),
            "Paused by you until 2026-12-01 20:00.",
            "Von Ihnen angehalten bis 2026-12-01 20:00.",
        ),
    ):
        reason = pause_reason(until, now)
        assert (str(reason), retold(reason)) == (english, german)


def test_what_an_execution_does_is_said_in_the_language_of_the_window() -> None:
    language.load(["de"])
    assert step_text("model, tool python") == "das Modell denkt nach, Werkzeug python"
    assert step_text("tool {name}") == "Werkzeug {name}"
    assert (step_text(""), step_text("claude"), step_text("of a later version")) == ("", "claude", "of a later version")


def test_a_worker_s_sentences_are_written_so_that_they_can_be_translated() -> None:
    """Where what a snapshot shows, or an error that a window tells, is said; the window's own rooms too. The log is
    English.
    """
    bare = []
    own = (
        file for room in ("notices", "settings", "system", "worker") for file in (ROOT / "desktop" / room).glob("*.py")
    )
    for file in (*(ROOT / "worker_core" / name for name in SAYS_TO_VIEWS), *sorted(own)):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        spared = {id(part) for node in ast.walk(tree) if is_no_view(node) for part in ast.walk(node)}
        for node in ast.walk(tree):
            if id(node) in spared or not isinstance(node, ast.Constant) or not isinstance(node.value, str):
                continue
            if node.value in SEEN_ELSEWHERE:
                continue
            if len(node.value.split()) > 1 and node.value.rstrip()[-1:] in {".", "!", "?", ":"}:
                bare.append(f"{file.relative_to(ROOT)}:{node.lineno}: {node.value!r}")
    assert bare == []


def is_no_view(node: ast.AST) -> bool:
    """A docstring, an assertion, or the argument of a call that is translated, logged or repairs in a terminal."""
    if isinstance(node, ast.Call):
        owner = node.func.value if isinstance(node.func, ast.Attribute) else None
        owner_name = getattr(owner, "id", getattr(owner, "attr", ""))
        return tool.name_of(node) in {
            "tr",
            "worded",
            "with_repair",
            "compile",
            "search",
            "EventDeliveryInterrupted",
        } or owner_name in {
            "log",
            "_log",
        }
    return isinstance(node, ast.Assert) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
