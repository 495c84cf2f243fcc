"""What is done in a thread that nobody waits for."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading

import pytest

from worker_core.basics.threads import apart


async def test_what_it_comes_to_is_told() -> None:
    found = await apart(lambda: threading.current_thread().name, name="looks")
    assert found == "looks"
    with pytest.raises(ZeroDivisionError):
        await apart(lambda: 1 // 0, name="looks")


async def test_whoever_is_cancelled_does_not_wait_for_it() -> None:
    began, go, ended = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        began.set()
        go.wait()
        ended.set()

    waiting = asyncio.create_task(apart(work, name="looks"))
    await asyncio.to_thread(began.wait)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not ended.is_set()
    go.set()
    await asyncio.to_thread(ended.wait)
    await asyncio.sleep(0)  # what it tells now is told to nobody


def test_the_program_ends_while_it_hangs() -> None:
    script = """
        import asyncio, threading
        from worker_core.basics.threads import apart

        async def main():
            began = asyncio.Event()
            loop = asyncio.get_running_loop()

            def hang():
                loop.call_soon_threadsafe(began.set)
                threading.Event().wait()

            waiting = asyncio.ensure_future(apart(hang, name="hangs"))
            await began.wait()
            waiting.cancel()

        asyncio.run(main())
        print("over")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=100)
    assert (done.stdout, done.stderr, done.returncode) == ("over\n", "", 0)
