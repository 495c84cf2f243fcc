"""A proxy that cannot be used is told by each command, at once."""

from __future__ import annotations

import pytest

from tests.cli.conftest import CommandLine

FAR = "https://control-plane.example.com"
SOCKS = "socks5://me:canary-password@127.0.0.1:1080"


@pytest.mark.parametrize("arguments", [["queues"], ["start", "--queue-id", "q"], ["execute", "hello"]])
def test_commands_say_so_at_once(offline: CommandLine, arguments: list[str]) -> None:
    answer = offline(*arguments, CONTROL_PLANE_URL=FAR, ALL_PROXY=SOCKS)
    assert answer.code == 3, answer
    assert "ALL_PROXY names a SOCKS proxy (127.0.0.1:1080), which this worker does not speak." in answer.err
    assert "canary" not in answer.out + answer.err
    assert "internal error" not in answer.out + answer.err


def test_the_doctor_says_so(offline: CommandLine) -> None:
    answer = offline("doctor", "--json", CONTROL_PLANE_URL=FAR, ALL_PROXY=SOCKS)
    found = {check["name"]: check for check in answer.json["checks"]}
    assert found["proxy"]["status"] == "fail"
    assert "ALL_PROXY names a SOCKS proxy" in found["proxy"]["sentence"]
    assert not [check for check in answer.json["checks"] if "Report it" in str(check)]
