"""What the control plane has set for a queue: noticed, applied or said."""

from __future__ import annotations

import pytest

from tests.support.fake_control_plane import FakeControlPlane, Reply
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.control_plane.models import QueueConfig
from worker_core.control_plane.queue_config import QueueConfigWatch, remarks

QUEUE = "6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d"
CONFIG = r"/worker-queues/[^/]+/config"


@pytest.mark.parametrize(
    ("recommended", "said"),
    [
        ("1.4", "The control plane recommends worker 1.4; this is 1.3.0."),
        ("1.10.0", "The control plane recommends worker 1.10.0; this is 1.3.0."),
        ("1.3", ""),
        ("1.2.9", ""),
        ("", ""),
        ("newest", ""),
        ("9" * 100, ""),
    ],
)
def test_a_recommended_version_is_said_where_it_is_newer(recommended: str, said: str) -> None:
    assert remarks(QueueConfig(recommended_package_version=recommended), version="1.3.0") == ((said,) if said else ())


def test_what_this_worker_does_not_do_is_said() -> None:
    config = QueueConfig(
        status="maintenance",
        settings={
            "enable_local_litellm_proxy": True,
            "litellm_config": {"environment_variables": {"KEY": "canary"}},
            "rate_limits": {"rpm": 3},
        },
    )
    found = remarks(config)
    assert [one.split(" on ")[0] for one in found] == [
        "It is maintenance",
        "It asks for a LiteLLM proxy",
        "It has settings that this worker does not know: rate_limits.",
    ]
    assert "canary" not in repr(found)


def test_many_and_strange_names_stay_one_line() -> None:
    [said] = remarks(QueueConfig(settings={f"x\n{number}" * 50: 1 for number in range(100)}))
    assert "\n" not in said
    assert "and 95 more" in said
    assert len(said) < 500


async def test_each_version_is_said_once(
    plane: FakeControlPlane, client: ControlPlaneClient, caplog: pytest.LogCaptureFixture
) -> None:
    changed: list[None] = []
    one = QueueConfigWatch(client=client, queue_id=QUEUE, on_change=lambda: changed.append(None))
    body = {"name": "q", "config_version": "a", "heartbeat_interval": 20, "recommended_package_version": "99.0"}
    plane.on("GET", CONFIG, Reply(body=body))
    with caplog.at_level("INFO"):
        await one.look()
        await one.look()
        assert (one.version, one.heartbeat_seconds, one.recommended_worker, len(changed)) == ("a", 20, "99.0", 1)
        plane.on("GET", CONFIG, Reply(body={**body, "config_version": "b", "heartbeat_interval": 40}))
        await one.look()
    assert (one.version, one.heartbeat_seconds, len(changed)) == ("b", 40, 2)
    assert [
        record.getMessage().partition(": ")[2] for record in caplog.records if record.name.startswith("worker_core")
    ] == [
        one.remarks[0],
        "its settings on the control plane have changed.",
    ]


async def test_a_control_plane_without_it_is_asked_once_and_one_in_trouble_again(
    plane: FakeControlPlane, client: ControlPlaneClient
) -> None:
    one = QueueConfigWatch(client=client, queue_id=QUEUE, on_change=lambda: None)
    plane.script("GET", CONFIG, Reply(status=500), Reply(body=["nonsense"]), Reply(status=404))
    for _ in range(5):
        await one.look()
    assert len(plane.received("GET", CONFIG)) >= 3
    before = len(plane.received("GET", CONFIG))
    await one.look()
    assert len(plane.received("GET", CONFIG)) == before
    assert one.remarks == ()
