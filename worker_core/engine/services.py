"""Makes what all queues of an engine share: one of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from worker_core.agents.activities.announcements import Announcements
from worker_core.agents.activities.environments import Environments
from worker_core.agents.activities.journal import Journal
from worker_core.agents.activities.services import Services
from worker_core.agents.activities.spent import SpentByAttempts
from worker_core.agents.activities.stored_sessions import StoredSessions
from worker_core.agents.activities.tracker import ExecutionTracker
from worker_core.basics.loop_thread import LoopThread
from worker_core.budgets.late import LateBudgets
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.outbox.outbox import Outbox
from worker_core.events import EventBus
from worker_core.hooks.hooks import Hooks
from worker_core.logs.redaction import Redactor
from worker_core.machine import identity
from worker_core.machine.memory import memory
from worker_core.mcp.folders import ServerFolders
from worker_core.mcp.pool import McpPool
from worker_core.paths import Paths
from worker_core.policy.audit import AuditLog
from worker_core.policy.decision import Permissions, policy_file
from worker_core.policy.enforcer import Enforcer
from worker_core.policy.questions import ApprovalBook
from worker_core.sandbox.launcher import Launcher
from worker_core.secrets import Secret
from worker_core.settings import Settings, SettingsInForce
from worker_core.workspaces.workspace import Workspace

if TYPE_CHECKING:
    from worker_core.checkouts.granting import Reserved
    from worker_core.hooks.answering import TakesAnswer


def make_services(
    *,
    in_force: SettingsInForce,
    api_key: Secret,
    paths: Paths,
    bus: EventBus,
    redactor: Redactor,
    launcher: Launcher,
    on_executions: Callable[[], None],
    on_questions: Callable[[], None],
    own_secrets: Callable[[], frozenset[str]],
    answer: TakesAnswer,
) -> Services:
    """Nothing is started, and nothing sent.

    Args:
        in_force: validated settings.
        api_key: of the control plane.
        paths: where state is kept.
        bus: of the engine.
        redactor: masks secrets in everything that leaves.
        launcher: what isolates tool processes.
        on_executions: hears that the view of executions changed.
        on_questions: hears that the view of approvals changed.
        own_secrets: values that reach no child process.
        answer: takes an answer to an approval that comes from where its user was called.

    Raises:
        ConfigurationError: a policy file that cannot be read, or a state folder that cannot be used.
    """
    settings = in_force.current
    policy = policy_file(paths)
    policy.rules()
    host_id = identity.host_id(paths.host_id_file)
    client = ControlPlaneClient.of(settings, api_key)
    outbox = Outbox(client=client, folder=paths.spool, bus=bus, mask=redactor.mask)
    book = ApprovalBook(paths.approvals, on_change=on_questions)
    permissions = Permissions(
        policy=policy,
        book=book,
        audit=AuditLog(paths.audit_file, mask=redactor.mask),
        enforcer=Enforcer(client=client, settings=in_force, redactor=redactor),
        settings=in_force,
        outbox=outbox,
        bus=bus,
        redactor=redactor,
        workspaces=paths.workspaces,
    )
    return Services(
        in_force=in_force,
        host_id=host_id,
        client=client,
        outbox=outbox,
        journal=Journal(paths.journal),
        tracker=ExecutionTracker(
            limit=executions_limit(settings),
            on_change=on_executions,
        ),
        bus=bus,
        redactor=redactor,
        launcher=launcher,
        permissions=permissions,
        workspaces=paths.workspaces,
        environments=Environments(client=client, redactor=redactor),
        announcements=Announcements(client=client, outbox=outbox),
        sessions=StoredSessions(client=client),
        spent=SpentByAttempts(),
        late_budgets=LateBudgets(paths=paths, in_force=in_force, permissions=permissions, on_change=on_executions),
        checkouts=paths.checkouts,
        reserved=lambda: _reserved(in_force.current, paths),
        mcp=McpPool(
            launcher=launcher,
            workspace=lambda execution_id: Workspace.open(paths.workspaces, execution_id).path,
            settings=in_force,
            redactor=redactor,
            folders=ServerFolders(paths.mcp_servers),
        ),
        hooks=Hooks(
            in_force=in_force,
            bus=bus,
            redactor=redactor,
            folder=paths.state,
            held=paths.held_calls,
            workspaces=paths.workspaces,
            host_id=host_id,
            book=book,
            answer_key=paths.answer_key,
            answer=answer,
        ),
        claude=LoopThread("claude"),
        own_secrets=own_secrets,
    )


def _reserved(settings: Settings, paths: Paths) -> Reserved:
    from worker_core.checkouts.reserved import reserved_by  # these with the first execution

    return reserved_by(settings, paths)


def executions_limit(settings: Settings) -> int:
    """Executions in mid-turn at once: what the settings say, else by the memory that is free now."""
    return settings.max_executions or identity.default_executions(memory().available_bytes)
