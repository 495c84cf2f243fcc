#!/usr/bin/env bash
# LiteLLM's proxy refuses an option that a model does not take, names it in the message, and leaves `param` null.
#
# An answer of OpenAI's own API names the refused option in `error.param`, and clients repair a request by it. The proxy
# answers before it asks the provider, in one of two wordings, with `param: null` and the status as `code` (a text). A
# client that leaves out what is refused has to read the message. Valid requests, no provider is reached, no key needed.
#
# Seen: litellm 1.108.7, Python 3.11, Linux. Fails where any of it has changed. Takes some minutes (installation).
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-compile --disable-pip-version-check 'litellm[proxy]==1.108.7'
HOME=$folder FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import json, os, secrets, socket, subprocess, sys, time, urllib.error, urllib.request
from importlib.metadata import version
from pathlib import Path

folder, key = Path(os.environ["FOLDER"]), "sk-" + secrets.token_hex(24)
with socket.socket() as one:
    one.bind(("127.0.0.1", 0))
    port = one.getsockname()[1]
models = [
    {"model_name": name, "litellm_params": {"model": f"openai/{name}", "api_base": "http://127.0.0.1:9", "api_key": "none"}}
    for name in ("gpt-5", "gpt-4o")
]
(folder / "config.json").write_text(json.dumps({"model_list": models, "general_settings": {"master_key": key}}))
environment = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
command = [folder / "venv/bin/litellm", "--config", folder / "config.json", "--host", "127.0.0.1", "--port", str(port)]
with (folder / "log").open("wb") as log:
    proxy = subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def call(path, body=None):
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", body and json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


try:
    for _ in range(1200):
        try:
            call("/health/liveliness")
            break
        except OSError:
            if proxy.poll() is not None:
                sys.exit((folder / "log").read_text()[-2000:])
            time.sleep(0.2)
    print("litellm", version("litellm"))
    changed = False
    for model, option, value in (
        ("gpt-5", "temperature", 0.5), ("gpt-5", "top_p", 0.5), ("gpt-5", "logit_bias", {"1": 1}),
        ("gpt-4o", "reasoning_effort", "low"),
    ):
        asked = {"model": model, "messages": [{"role": "user", "content": "hello"}], option: value}
        status, body = call("/v1/chat/completions", asked)
        error = json.loads(body)["error"]
        print(f"{model} with {option}: {status}, param={error['param']!r}, code={error['code']!r}: {error['message'][:110]}")
        changed |= (status, error["param"], error["code"]) != (400, None, "400") or option not in error["message"]
finally:
    proxy.terminate()
    proxy.wait(30)
sys.exit("It has changed." if changed else 0)
PYTHON
echo "As described: the refused option stands in the message alone."
