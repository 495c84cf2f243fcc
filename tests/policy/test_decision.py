"""An answer is about one call: of this tool, of this server, with this configuration and these arguments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock, MagicMock

import msgspec
import pytest
from temporalio.testing import ActivityEnvironment

from worker_core.agents.activities.tool_calls import to_decide
from worker_core.agents.messages import RunTool, ToolCall
from worker_core.control_plane import models
from worker_core.logs.redaction import Redactor
from worker_core.mcp.configuration import ServerConfig
from worker_core.mcp.tool import ServerToolCall
from worker_core.policy.audit import AuditLog, entries
from worker_core.policy.builtin import built_in_rules
from worker_core.policy.decision import Allowed, Ask, Denied, Permissions, Ruling
from worker_core.policy.enforcer import Enforcer
from worker_core.policy.file import PolicyFile
from worker_core.policy.own_rule import NotThatRule
from worker_core.policy.questions import FORMAT, ApprovalBook, NotLasting
from worker_core.policy.rules import Subject
from worker_core.policy.subjects import Reader
from worker_core.sandbox.direct import DirectLauncher
from worker_core.sandbox.launcher import Holds, Launcher
from worker_core.settings import Settings, SettingsInForce
from worker_core.tools.base import Tool
from worker_core.tools.registry import SkillDefinition, offer

WITHOUT = DirectLauncher()
SHELL = {"name": "shell", "type": "shell", "configuration": {}}


class Place:
    """What decides on a machine, with a policy file and a book of its own."""

    def __init__(self, folder: Path, *, client: Any = None, **settings: Any) -> None:
        self.folder = folder
        self.file = folder / "policy.toml"
        self.book = ApprovalBook(folder / "approvals")
        chosen = SettingsInForce(Settings(approval_timeout=timedelta(minutes=1), **settings))
        self.permissions = Permissions(
            policy=PolicyFile(self.file, built_in=built_in_rules()),
            book=self.book,
            audit=AuditLog(folder / "audit.jsonl"),
            enforcer=Enforcer(client=client, settings=chosen, redactor=Redactor()),
            settings=chosen,
            workspaces=folder / "workspaces",
            outbox=MagicMock(),
            bus=MagicMock(),
            redactor=Redactor(),
        )

    async def decide(
        self, request: RunTool, tool: Tool, arguments: dict[str, Any], *, launcher: Launcher = WITHOUT
    ) -> Ruling:
        call = ActivityEnvironment().run(to_decide, request, tool, arguments, queue_id="q", launcher=launcher)
        return await self.permissions.decide(call)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, approvals="ask")


def request(name: str, skills: tuple[dict[str, Any], ...] = (SHELL,), **more: Any) -> RunTool:
    return RunTool(
        execution_id="e",
        kind="agent",
        entity_id="a",
        turn=1,
        call=ToolCall(call_id="c", name=name, arguments="{}"),
        skills=skills,
        parent_message_id="m",
        timeout_seconds=60.0,
        **more,
    )


def own(name: str, *skills: dict[str, Any]) -> Tool:
    return offer([SkillDefinition.from_wire(one) for one in skills or (SHELL,)]).tools[name]


PROD = ServerConfig(alias="prod", transport="http", url="https://prod.example/")


def of_server(config: ServerConfig = PROD, tool: str = "delete") -> Tool:
    return ServerToolCall(None, config, tool=tool, say_progress=lambda said: None)  # type: ignore[arg-type]


async def test_what_a_call_is_named_in_its_payload_decides_nothing(place: Place) -> None:
    place.file.write_text('[[deny]]\ntool = "prod__*"\n[[allow]]\ntool = "list_files"\n')
    asked = request("list_files", mcp_server="prod", mcp_tool="delete")
    verdict = await place.decide(asked, of_server(), {"what": "all"})
    assert isinstance(verdict, Denied)
    assert "'prod__delete'" in verdict.sentence
    assert [entry["tool"] for entry in entries(place.folder / "audit.jsonl")] == ["prod__delete"]


async def test_an_answer_is_bound_to_server_tool_configuration_and_arguments(place: Place) -> None:
    place.file.write_text('[[ask]]\ntool = "*"\n')
    arguments = {"what": "all"}
    others = [
        (of_server(), arguments),
        (of_server(replace(PROD, url="https://other.example/")), arguments),
        (of_server(replace(PROD, headers={"X-Role": "admin"})), arguments),
        (of_server(replace(PROD, alias="prod2")), arguments),
        (of_server(tool="drop"), arguments),
        (of_server(), {"what": "more"}),
    ]
    for number, (other, given) in enumerate(others):
        call = ToolCall(call_id=f"c{number}", name="prod__delete", arguments="{}")
        asked = replace(request("prod__delete", mcp_server="prod", mcp_tool="delete"), call=call)
        verdict = await place.decide(asked, of_server(), arguments)
        assert isinstance(verdict, Ask)
        place.book.answer(verdict.id, allow=True, scope="once", by="me")
        again = await place.decide(asked, other, given)
        assert isinstance(again, Ask) is (number > 0)


async def test_an_answer_is_bound_to_the_skills_configuration(place: Place) -> None:
    asked = request("shell")
    arguments = {"command": "sudo ls"}
    verdict = await place.decide(asked, own("shell"), arguments)
    assert isinstance(verdict, Ask)
    place.book.answer(verdict.id, allow=True, scope="once", by="me")
    changed = {**SHELL, "configuration": {"shell_binary": "/bin/dash"}}
    other = request("shell", skills=(changed,))
    assert isinstance(await place.decide(other, own("shell", changed), arguments), Ask)


async def test_the_rule_that_is_shown_is_the_one_that_is_written(place: Place) -> None:
    asked, arguments = request("shell"), {"command": "sudo ls"}
    verdict = await place.decide(asked, own("shell"), arguments)
    assert isinstance(verdict, Ask)
    [view] = place.book.views()
    assert "[[allow]]" in view.rule
    assert "sudo ls" in view.rule
    place.book.answer(verdict.id, allow=True, scope="always", by="me")
    assert await place.decide(asked, own("shell"), arguments) == Allowed()
    written = place.file.read_text(encoding="utf-8")
    assert view.rule in "\n".join(line for line in written.splitlines() if not line.startswith("why = "))


async def test_a_rule_that_was_changed_is_the_one_that_is_written(place: Place) -> None:
    asked, arguments = request("shell"), {"command": "sudo ls"}
    verdict = await place.decide(asked, own("shell"), arguments)
    assert isinstance(verdict, Ask)
    [view] = place.book.views()
    for wrong in (view.rule.replace("sudo ls", "sudo reboot"), view.rule + "\noverride = true", "[[allow]]"):
        with pytest.raises(NotThatRule):
            place.book.answer(verdict.id, allow=True, scope="always", by="me", own_rule=wrong)
    assert place.book.views() == (view,), "the question stands"
    place.book.answer(verdict.id, allow=True, scope="always", by="me", own_rule=view.rule.replace(" ls", " l*"))
    assert await place.decide(asked, own("shell"), arguments) == Allowed()
    written = place.file.read_text(encoding="utf-8")
    assert '"sudo l*"' in written
    assert '"sudo ls"' not in written
    other = replace(asked, call=ToolCall(call_id="d", name="shell", arguments="{}"))
    assert await place.decide(other, own("shell"), {"command": "sudo lsblk"}) == Allowed()
    assert isinstance(await place.decide(other, own("shell"), {"command": "sudo reboot"}), Ask)


async def test_a_rule_belongs_to_an_answer_for_always(place: Place) -> None:
    asked, arguments = request("shell"), {"command": "sudo ls"}
    verdict = await place.decide(asked, own("shell"), arguments)
    assert isinstance(verdict, Ask)
    place.book.answer(verdict.id, allow=True, scope="once", by="me", own_rule="[[allow]]\ntool = '*'\nalways = true")
    assert await place.decide(asked, own("shell"), arguments) == Allowed()
    assert not place.file.exists()


async def test_an_earlier_version_asks_anew_where_a_rule_was_changed(place: Place) -> None:
    verdict = await place.decide(request("shell"), own("shell"), {"command": "sudo ls"})
    assert isinstance(verdict, Ask)
    [view] = place.book.views()
    plain = place.book.answer(verdict.id, allow=True, scope="always", by="me")
    assert plain.format == 1
    place.book.put(msgspec.structs.replace(plain, answer="", rule=view.rule))
    changed = place.book.answer(verdict.id, allow=True, scope="always", by="me", own_rule=f"# mine\n{view.rule}")
    assert changed.format == FORMAT == 2


async def test_a_rule_that_holds_what_nobody_sees_is_not_changed(place: Place) -> None:
    verdict = await place.decide(request("shell"), own("shell"), {"command": "sudo ls '\u115f'"})
    assert isinstance(verdict, Ask)
    [view] = place.book.views()
    assert "<U+115F>" in view.rule
    assert view.workspace == ""
    with pytest.raises(NotThatRule, match="cannot be changed"):
        place.book.answer(verdict.id, allow=True, scope="always", by="me", own_rule="[[allow]]\ncommand = '*'")


async def test_for_always_is_refused_where_no_rule_could_name_it(place: Place) -> None:
    asked = request("shell")
    verdict = await place.decide(asked, own("shell"), {"command": 'sudo "$(echo ls)"'})
    assert isinstance(verdict, Ask)
    [view] = place.book.views()
    assert not view.lasts
    assert view.rule == ""
    with pytest.raises(NotLasting, match="only known when it runs"):
        place.book.answer(verdict.id, allow=True, scope="always", by="me")
    place.book.answer(verdict.id, allow=True, scope="execution", by="me")
    assert await place.decide(asked, own("shell"), {"command": 'sudo "$(echo ls)"'}) == Allowed()
    assert not place.file.exists()
    again = replace(asked, call=ToolCall(call_id="d", name="shell", arguments="{}"))
    assert await place.decide(again, own("shell"), {"command": 'sudo "$(echo ls)"'}) == Allowed()
    assert isinstance(await place.decide(again, own("shell"), {"command": 'sudo "$(echo reboot)"'}), Ask)


@pytest.mark.parametrize("allows", [True, False])
@pytest.mark.parametrize(("local", "verdict"), [("deny", Denied), ("ask", Ask), ("allow", Allowed)])
async def test_the_control_planes_word_only_makes_a_decision_stricter(
    tmp_path: Path, local: str, verdict: type, allows: bool
) -> None:
    said = SimpleNamespace(enforce=AsyncMock(return_value=models.Verdict(allow=allows)))
    place = Place(tmp_path, client=said, approvals="ask", enforcer=True)
    place.file.write_text(f'[[{local}]]\ntool = "shell"\n')
    decided = await place.decide(request("shell"), own("shell"), {"command": "ls"})
    assert isinstance(decided, verdict if allows else Denied)


async def test_arguments_that_are_wrong_are_told_and_nothing_is_decided(place: Place) -> None:
    verdict = await place.decide(request("shell"), own("shell"), {"comand": "ls"})
    assert isinstance(verdict, Denied)
    assert "command" in verdict.sentence


async def test_what_comes_up_in_a_call_is_decided_without_asking(place: Place) -> None:
    place.file.write_text('[[deny]]\nhost = "evil.example"\n[[ask]]\nhost = "odd.example"\n')
    fetch = {"name": "web_fetch", "type": "web_fetch", "configuration": {}}
    tool = own("web_fetch", fetch)

    async def further(url: str, there: Place = place) -> str:
        asked = ActivityEnvironment().run(
            to_decide, request("web_fetch", (fetch,)), tool, {}, queue_id="q", launcher=WITHOUT
        )
        return await there.permissions.further(asked, lambda one: one.url(url))

    assert await further("https://good.example/") == ""
    assert "evil.example" in await further("https://evil.example/")
    assert "Nobody can be asked" in await further("https://odd.example/")
    place.book.grant("e", frozenset({"host odd.example"}))
    assert await further("https://odd.example/") == ""
    lax = Place(place.folder, approvals="allow")
    assert "evil.example" in await further("https://evil.example/", lax)


PRIVATE = ["echo data > /tmp/notes.txt", "cat /tmp/notes.txt", "~/bin/tool", "curl http://localhost:8765/"]


class Walled(DirectLauncher):
    """As a sandbox says it holds."""

    enforces = frozenset(Holds)


@pytest.mark.parametrize("line", PRIVATE)
async def test_what_is_private_to_the_sandbox_needs_no_question(place: Place, line: str) -> None:
    asked = request("shell")
    assert isinstance(await place.decide(asked, own("shell"), {"command": line}), Ask)
    assert isinstance(await place.decide(asked, own("shell"), {"command": line}, launcher=Walled()), Allowed)


@pytest.mark.parametrize(
    ("line", "verdict"),
    [
        ("cat ~/.ssh/id", Denied),
        ("cat ~/../../srv/x", Ask),
        ("HOME=/srv; cat ~/x", Ask),
        ("export HOME=/srv; cat $HOME/x", Ask),
        ("CDPATH=/srv; cd data && cat x", Ask),
        ("HOME=/tmp npm ci", Allowed),
        ("cat /tmp/../srv/x", Ask),
        ("curl http://169.254.169.254/", Denied),
        ("cat /srv/x", Ask),
    ],
)
async def test_what_only_looks_private_is_asked_about(place: Place, line: str, verdict: type) -> None:
    found = await place.decide(request("shell"), own("shell"), {"command": line}, launcher=Walled())
    assert isinstance(found, verdict)


async def test_a_rule_about_what_is_private_holds(place: Place) -> None:
    place.file.write_text('[[deny]]\npath = "/tmp/**"\n[[ask]]\nhost = "localhost"\n')
    for line, verdict in ((PRIVATE[0], Denied), (PRIVATE[3], Ask)):
        found = await place.decide(request("shell"), own("shell"), {"command": line}, launcher=Walled())
        assert isinstance(found, verdict)


@pytest.mark.parametrize(
    ("kind", "name", "arguments"),
    [("file_system", "read_file", {"path": "/tmp/x"}), ("web_fetch", "web_fetch", {"url": "http://localhost/"})],
)
async def test_a_tool_of_the_worker_itself_has_nothing_of_its_own(
    place: Place, kind: str, name: str, arguments: dict[str, Any]
) -> None:
    skill = {"name": kind, "type": kind, "configuration": {}}
    found = await place.decide(request(name, (skill,)), own(name, skill), arguments, launcher=Walled())
    assert isinstance(found, Ask)


async def test_a_server_elsewhere_has_nothing_of_its_own_here(place: Place) -> None:
    here = ServerConfig(alias="notes", transport="stdio", command=("notes",))
    for config, verdict in ((here, Allowed), (replace(here, transport="http", url="http://127.0.0.1:1/"), Ask)):
        tool = ServerToolCall(MagicMock(), config, tool="add", say_progress=print)
        found = await place.decide(request(tool.spec.name), tool, {"path": "/tmp/x"}, launcher=Walled())
        assert isinstance(found, verdict), config


async def test_what_cannot_be_looked_at_is_denied_and_no_fault_of_the_audit_log(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device or a network drive on Windows."""

    def refuses(self: Reader, argv: Sequence[str], **where: str) -> Iterator[Subject]:
        raise OSError(31, "A device attached to the system is not functioning", "//?/device")

    monkeypatch.setattr(Reader, "started", refuses)
    ruling = await place.decide(request("shell"), own("shell"), {"command": "true"})
    assert ruling == Denied(
        sentence="This call was denied: what it names cannot be looked at (A device attached to the system is not "
        "functioning: //?/device)."
    )
