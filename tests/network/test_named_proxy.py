"""What the variables name: HTTP proxies are used, SOCKS proxies and nonsense are told, exceptions have many forms."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.engine import new_agent, running_engine
from tests.support.model_server import model_server, text
from tests.support.playground import Stage
from worker_core.control_plane.client import ControlPlaneClient
from worker_core.errors import ConfigurationError
from worker_core.network.named_proxy import _names, named_proxy, usable_proxy
from worker_core.secrets import Secret

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
FAR = "https://control-plane.example.com"
SOCKS = "socks5://me:canary-password@127.0.0.1:1080"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in (*NAMES, *map(str.lower, NAMES)):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("ALL_PROXY", SOCKS, "ALL_PROXY names a SOCKS proxy (127.0.0.1:1080)"),
        ("all_proxy", "socks://127.0.0.1:1080", "all_proxy names a SOCKS proxy"),
        ("HTTPS_PROXY", "socks5h://[::1]:1080", "HTTPS_PROXY names a SOCKS proxy ([::1]:1080)"),
        ("HTTPS_PROXY", "ftp://proxy.example", "HTTPS_PROXY names a proxy of the kind 'ftp'"),
        ("HTTPS_PROXY", "http://proxy.example:port", "HTTPS_PROXY names something that is no address"),
        ("HTTPS_PROXY", "http://", "HTTPS_PROXY names something that is no address"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_that_names_the_variable(
    environment: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    environment.setenv(variable, value)
    with pytest.raises(ConfigurationError) as caught:
        ControlPlaneClient(base_url=FAR, api_key=Secret("kb-key-0123"))
    assert said in caught.value.sentence
    assert "control-plane.example.com" in caught.value.sentence
    assert "canary" not in caught.value.sentence
    assert usable_proxy("http://localhost:3000") is None, "this machine needs none"
    environment.setenv("NO_PROXY", ".example.com")
    assert usable_proxy(FAR) is None, "an exception needs none"


def test_the_scheme_s_own_proxy_comes_before_that_for_all(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALL_PROXY", SOCKS)
    environment.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    named = usable_proxy(FAR)
    assert named is not None
    assert (named.address, named.variable) == ("proxy.example:3128", "HTTPS_PROXY")


@pytest.mark.parametrize(
    ("entries", "url", "needs_none"),
    [
        ("*", FAR, True),
        ("example.com", FAR, True),
        (".example.com", FAR, True),
        ("*.example.com", FAR, True),
        ("other, control-plane.EXAMPLE.com", FAR, True),
        ("ample.com", FAR, False),
        ("control-plane.example.com:443", FAR, True),
        ("control-plane.example.com:8443", FAR, False),
        ("10.0.0.0/8", "https://10.1.2.3", True),
        ("10.0.0.0/8", "https://11.1.2.3", False),
        ("10.1.2.3", "https://10.1.2.3:8443", True),
        ("localhost,fd07:b51a:cc66:f0::/64", "https://[fd07:b51a:cc66:f0::5]:7233", True),
        ("localhost,fd07:b51a:cc66:f0::/64", "https://[fd07:b51a:cc66:f1::5]", False),
        ("fd07:b51a:cc66:f0::/64", FAR, False),
        ("[2001:db8::1]", "https://[2001:db8::1]", True),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]:8443", True),
        ("[2001:db8::1]:8443", "https://[2001:db8::1]", False),
        ("2001:db8::1", "https://[2001:db8:0::1]", True),
        ("", FAR, False),
        (", ,.,*.,[,]:1,//,::/999,1.2.3.4/99", FAR, False),
    ],
)
def test_exceptions_in_every_form(environment: pytest.MonkeyPatch, entries: str, url: str, needs_none: bool) -> None:
    environment.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    environment.setenv("NO_PROXY", entries)
    assert (named_proxy(url) is None) is needs_none
    ControlPlaneClient(base_url=url, api_key=Secret("kb-key-0123"))


@given(st.text(), st.text(), st.integers())
def test_no_entry_is_more_than_skipped(entry: str, host: str, port: int) -> None:
    _names(entry, host, port)


async def test_what_is_on_this_machine_is_reached_all_the_same(
    stage: Stage, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("ALL_PROXY", SOCKS)
    environment.setenv("NO_PROXY", "fd07:b51a:cc66:f0::/64,[::1]")
    async with (
        model_server([text("there")]) as server,
        running_engine(stage, tmp_path, llm_base_url=server.url, llm_api_key=Secret("kb-test-key")) as rig,
    ):
        execution_id = await rig.execute("go", agent_id=await new_agent(stage))
        assert (await rig.reach(execution_id, "waiting_for_input", "failed")).response == "there"


async def test_a_gateway_that_would_need_it_is_one_sentence(
    stage: Stage, tmp_path: Path, environment: pytest.MonkeyPatch
) -> None:
    environment.setenv("ALL_PROXY", SOCKS)
    async with running_engine(
        stage, tmp_path, llm_base_url="https://gateway.example.com/v1", llm_api_key=Secret("kb-test-key")
    ) as rig:
        record = await rig.reach(await rig.execute("go"), "waiting_for_input", "failed")
    assert record.status == "failed"
    assert "ALL_PROXY names a SOCKS proxy" in record.error_message
