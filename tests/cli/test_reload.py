"""A worker that runs reads its settings again: told by `reload`, or by SIGHUP where no terminal hangs up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import NOBODY_LISTENS, CommandLine
from tests.support.playground import Stage
from tests.support.worker_process import LIMIT_SECONDS, worker_process
from worker_core.paths import Paths


def test_a_running_worker_reads_its_settings_again(offline: CommandLine, stage: Stage, tmp_path: Path) -> None:
    home = tmp_path / "home"
    paths = Paths.from_environment({"KUBIYA_WORKER_HOME": str(home)})
    paths.config.mkdir(parents=True)
    paths.settings_file.write_text("max_executions = 2\n")
    with worker_process(stage, home, stage.info.queue_id, own_session=True) as worker:
        worker.wait_ready()
        paths.settings_file.write_text('max_executions = 5\nlog_level = "DEBUG"\nsandbox_image = "x"\n')
        said = offline("reload", "--json")
        assert said.code == 0, said
        assert said.json["applied"] == ["max_executions", "log_level"]
        assert said.json["later"] == ["sandbox_image"]
        assert offline("status", "--json").json["workers"][0]["executions_limit"] == 5
        shown = {row["name"]: row for row in offline("config", "show", "--running", "--json").json["settings"]}
        assert (shown["log_level"]["value"], shown["log_level"]["where"]) == ("DEBUG", f"{paths.settings_file}:2")
        assert shown["heartbeat_interval"]["source"] == "server"
        assert shown["queue_ids"]["where"] == "--queue-id"
        assert "give none with --running" in offline("config", "show", "--running", "--proxy", "none").err

        paths.settings_file.write_text("max_executions = 0\n")
        said = offline("reload")
        assert said.code == 3
        assert "error: The settings were left as they are: `max_executions` in" in said.err
        if sys.platform != "win32":
            paths.settings_file.write_text("max_executions = 1\n")
            worker.process.send_signal(signal.SIGHUP)  # as `systemctl reload` does
            worker.wait_log("max_executions is 1 now; log_level is INFO now")
            assert offline("status", "--json").json["workers"][0]["executions_limit"] == 1
        assert worker.terminate() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGHUP")
def test_a_terminal_that_hangs_up_stops_its_worker(tmp_path: Path) -> None:
    import pty

    own = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execv(sys.executable, sys.argv[1:])"
    start = (sys.executable, "-m", "worker_core", "start", "--queue-id", "6f9d3a52-7f0e-4f0c-9a51-0d6f3a1b2c3d")
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", own, *start],
        stdin=its,
        stdout=its,
        stderr=its,
        start_new_session=True,
        env={
            **os.environ,
            "KUBIYA_WORKER_HOME": str(tmp_path),
            "KUBIYA_API_KEY": "key-0123456789",
            "CONTROL_PLANE_URL": NOBODY_LISTENS,
        },
    )
    os.close(its)
    try:
        said = b""
        while b"Registration on queue" not in said:
            said += os.read(ours, 65536)
        os.close(ours)  # the terminal is gone, and the kernel tells whose it was
        assert process.wait(LIMIT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert "SIGHUP: takes nothing new" in (tmp_path / "state" / "logs" / "worker.log").read_text()
