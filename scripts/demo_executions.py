"""Executions for screenshots, as the worker tells of them: three under way, one of which asks, and four that ended."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from worker_core.events import (
    Event,
    ExecutionEventPublished,
    ExecutionFinished,
    ExecutionStarted,
    ExecutionWaiting,
    ModelCalled,
)

NOW = datetime.now(UTC)

ANSWER = """The checkout service is failing because its **database pool is exhausted**, not because of the new release.

Three things point the same way:

1. `checkout-7d9f` restarts every four minutes, always after `QueuePool limit of size 5 overflow 10 reached`.
2. The release of 09:12 raised `WORKERS` from 4 to 16 and left `DB_POOL_SIZE` at 5.
3. Rolling back on staging with a larger pool brings the error rate to zero.

This is the smallest change that fixes it:

```yaml
# deploy/checkout/values.yaml
env:
  WORKERS: 16
  DB_POOL_SIZE: 20      # was 5
  DB_POOL_OVERFLOW: 20
```

I can open a pull request with it and watch the rollout. Shall I?"""

PODS = """NAME                        READY   STATUS             RESTARTS        AGE
checkout-7d9f6c8b5-2xkqp    0/1     CrashLoopBackOff   11 (2m ago)     47m
checkout-7d9f6c8b5-9hw4z    1/1     Running            9 (4m ago)      47m
payments-5c7b9d6f4-l8s2d    1/1     Running            0               6d
catalog-86d5f7c9b-q7n5m     1/1     Running            0               6d"""


def _event(execution: str, kind: str, seconds_ago: float, **payload: object) -> ExecutionEventPublished:
    return ExecutionEventPublished(
        execution_id=execution, type=kind, payload=payload, sequence=0, at=NOW - timedelta(seconds=seconds_ago)
    )


def _tool(
    execution: str, call: str, name: str, ago: float, took: float, output: str, **arguments: object
) -> list[Event]:
    return [
        _event(
            execution,
            "tool_started",
            ago,
            tool_name=name,
            tool_execution_id=call,
            tool_arguments=arguments,
            sandbox="bubblewrap",
        ),
        _event(
            execution,
            "tool_completed",
            ago - took,
            tool_name=name,
            tool_execution_id=call,
            status="success",
            tool_output=output,
            duration_ms=took * 1000,
            sandbox="bubblewrap",
        ),
    ]


def _model(execution: str, ago: float, took: float, read: int = 0, written: int = 0) -> ModelCalled:
    """One that was answered with nothing had failed."""
    return ModelCalled(
        execution_id=execution,
        succeeded=written > 0,
        duration_seconds=took,
        prompt_tokens=read,
        completion_tokens=written,
        cached_tokens=read * 3 // 4,
        cost_dollars=(read * 0.8 + written * 15) / 1e6,
        at=NOW - timedelta(seconds=ago - took),
    )


def events() -> list[Event]:
    one, two, three = "4b1d77a0-checkout", "91c3f0de-costs", "e52a9b14-certs"
    made: list[Event] = [
        _event(one, "metadata", 192, execution_type="AGENT"),
        _event(
            one,
            "message",
            192,
            role="user",
            message_id="u1",
            user_name="Maya",
            content="Checkout returns 502 since this morning. Find out why and propose the smallest fix.",
        ),
        _event(
            one,
            "message_chunk",
            188,
            message_id="a0",
            content="I will look at the pods first, then at what changed since yesterday.",
        ),
        *_tool(one, "c1", "shell", 186, 1.24, PODS, command="kubectl get pods -n shop"),
        *_tool(
            one,
            "c2",
            "shell",
            182,
            41,
            "QueuePool limit of size 5 overflow 10 reached",
            command="kubectl logs -n shop deploy/checkout --since=1h | grep -i pool",
        ),
        *_tool(
            one,
            "c3",
            "read_file",
            131.9,
            0.04,
            "env:\n  WORKERS: 16\n  DB_POOL_SIZE: 5",
            path="deploy/checkout/values.yaml",
        ),
        _event(one, "message_chunk", 20, message_id="a1", content=ANSWER),
        _model(one, 191, 4.6, 3_900, 64),
        _model(one, 184.6, 2.5, 4_120, 52),
        _model(one, 140.8, 8.8, 4_610, 70),
        _model(one, 131.7, 3.7),
        _model(one, 112, 3.1),
        _model(one, 60, 41, 4_980, 624),
        _event(
            one,
            "approval_requested",
            12,
            approval_id="ap-1",
            tool_name="shell",
            parts=[
                {"name": "command", "text": "git push origin fix/checkout-pool && gh pr create --fill"},
                {"name": "timeout_seconds", "text": "60"},
                {"name": "working folder", "text": f"~/.local/state/kubiya-worker/workspaces/{one}", "kind": "place"},
                {
                    "name": "asked because",
                    "text": "the command git push origin fix/checkout-pool: It publishes. (ask command = 'git push*', "
                    "policy.toml:3)",
                    "kind": "reason",
                },
            ],
        ),
        _event(two, "metadata", 64, execution_type="AGENT"),
        _event(
            two,
            "message",
            64,
            role="user",
            message_id="u1",
            user_name="Jonas",
            content="Which ten workloads grew most in cost last month?",
            usage={"total_tokens": 6_120},
        ),
        _event(
            two,
            "tool_started",
            31,
            tool_name="python",
            tool_execution_id="c1",
            sandbox="bubblewrap",
            tool_arguments={"code": "import pandas as pd\ncosts = pd.read_parquet('costs.parquet')\n"},
        ),
        _event(three, "metadata", 540, execution_type="AGENT"),
        _event(
            three,
            "message",
            540,
            role="user",
            message_id="u1",
            user_name="Maya",
            content="Renew the staging certificates that expire this week",
            usage={"total_tokens": 9_870},
        ),
        ExecutionWaiting(execution_id=three, turn=1, at=NOW - timedelta(minutes=4)),
    ]
    past = [
        ("Summarize the overnight alerts and group them by cause", "SRE on call", "completed", 34, 71, 12_480),
        ("Bump the base image of all services to Debian 12.9", "Release manager", "completed", 58, 412, 48_310),
        ("Why is the nightly ETL two hours late?", "Data engineer", "failed", 96, 133, 7_904),
        ("Rotate the read-only database credentials", "Security bot", "cancelled", 140, 22, 1_730),
    ]
    for number, (title, _, status, minutes, took, tokens) in enumerate(past):
        execution, ago = f"past-{number}", minutes * 60.0
        made += [
            _event(execution, "metadata", ago, execution_type="AGENT"),
            ExecutionStarted(execution_id=execution, queue_id="q-7f31", turn=1, at=NOW - timedelta(seconds=ago)),
            _event(
                execution, "message", ago, role="user", message_id="u1", content=title, usage={"total_tokens": tokens}
            ),
            ExecutionFinished(execution_id=execution, status=status, at=NOW - timedelta(seconds=ago - took)),
        ]
    return made


def agents() -> dict[str, str]:
    return {"past-0": "SRE on call", "past-1": "Release manager", "past-2": "Data engineer", "past-3": "Security bot"}
