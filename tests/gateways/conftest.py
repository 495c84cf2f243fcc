from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.gateways.upstream import Upstream
from tests.support.engine import Rig, running_engine
from tests.support.playground import Stage
from tests.support.scripts import set_up
from tests.support.temporal import free_port
from worker_core.secrets import Secret

KEY = "sk-gateway-test-0123"
START_SECONDS = 120.0

Worker = Callable[..., AbstractAsyncContextManager[Rig]]
"""A worker whose model gateway is at a URL: `worker(url, **settings)`."""


@pytest.fixture(scope="session")
def gateways() -> Path:
    """The environment of the real gateways."""
    return set_up("gateways", what="the real gateways") / "bin"


@pytest.fixture(scope="session")
def upstream() -> Iterator[Upstream]:
    with Upstream() as made:
        yield made


@pytest.fixture(scope="session")
def litellm(gateways: Path, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real LiteLLM proxy before our upstream, with its own defaults for retries; its base URL."""
    folder = tmp_path_factory.mktemp("litellm")
    models = {
        "claude": {"model": "anthropic/claude-sonnet-4-5-20250929", "api_base": upstream.url},
        "claude-unknown": {"model": "anthropic/claude-of-tomorrow", "api_base": upstream.url},
        "gpt": {"model": "openai/gpt-4o", "api_base": f"{upstream.url}/v1"},
        "openai/gpt": {"model": "openai/gpt-4o-mini", "api_base": f"{upstream.url}/v1"},
        "gpt-5": {"model": "openai/gpt-5-mini", "api_base": f"{upstream.url}/v1"},
        "local": {"model": "hosted_vllm/some-model", "api_base": f"{upstream.url}/v1"},
        "deepseek": {"model": "deepseek/deepseek-reasoner", "api_base": f"{upstream.url}/v1"},
    }
    configuration = {
        "model_list": [
            {"model_name": name, "litellm_params": {**parameters, "api_key": "sk-upstream"}}
            for name, parameters in models.items()
        ],
        "general_settings": {"master_key": KEY},
        # One deployment for each model: a cooldown would answer for the upstream in the tests that follow.
        "router_settings": {"disable_cooldowns": True},
    }
    (folder / "config.yaml").write_text(json.dumps(configuration))  # JSON is YAML
    port = free_port()
    environment = {
        **os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*", "LITELLM_MODE": "PRODUCTION",
        "HOME": str(folder), "LITELLM_TELEMETRY": "False",
    }  # fmt: skip
    command = [str(gateways / "litellm"), "--config", str(folder / "config.yaml"), "--host", "127.0.0.1"]
    with _process([*command, "--port", str(port)], environment, folder) as process:
        _until_up(f"http://127.0.0.1:{port}/health/liveliness", process, folder / "log")
        yield f"http://127.0.0.1:{port}/v1"


@pytest.fixture(scope="session")
def llama(gateways: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real llama.cpp server with a tiny model and a context of 6 000 tokens, each a character; its base URL."""
    folder = tmp_path_factory.mktemp("llama")
    script = Path(__file__).with_name("tiny_llama.py")
    command = [str(gateways / "python"), str(script), str(folder), "6000"]
    with _process(command, {**os.environ, "HOME": str(folder)}, folder, talks=True) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, b"")
        address = next((line.decode().strip() for line in lines if line.startswith(b"http://")), "")
        assert address, (folder / "log").read_text()
        yield f"{address}/v1"


@pytest.fixture
def worker(stage: Stage, tmp_path: Path) -> Worker:
    @asynccontextmanager
    async def run(url: str, **settings: Any) -> AsyncIterator[Rig]:
        async with running_engine(stage, tmp_path, llm_base_url=url, llm_api_key=Secret(KEY), **settings) as rig:
            yield rig

    return run


@contextlib.contextmanager
def _process(
    command: list[str], environment: dict[str, str], folder: Path, *, talks: bool = False
) -> Iterator[subprocess.Popen[bytes]]:
    """`talks`: its standard output is read; otherwise that goes to the log as well."""
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if talks else log,
            stderr=log,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.communicate(timeout=20)


def _until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            if answer.status == 200:
                return
        assert process.poll() is None, log.read_text()[-3000:]
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)


async def told(rig: Rig, execution_id: str) -> list[str]:
    """The sentences that viewers were told beside the answer."""
    return [event["data"]["details"]["error_message"] for event in await rig.sent(execution_id, "error")]
