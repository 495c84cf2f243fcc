from __future__ import annotations

import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the C library is not glibc")

LIBRARY = """
import ctypes
import threading
from worker_core.basics.allocator import keep_little

libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fdopen.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.free.argtypes = libc.fclose.argtypes = [ctypes.c_void_p]
libc.fdopen.argtypes = [ctypes.c_int, ctypes.c_char_p]
libc.malloc_info.argtypes = [ctypes.c_int, ctypes.c_void_p]
"""


def said_by(program: str, *, keeps_little: bool) -> str:
    call = "keep_little()" if keeps_little else "pass"
    done = subprocess.run(
        [sys.executable, "-c", f"{LIBRARY}\n{call}\n{program}"], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


ARENAS_OF_EIGHT_THREADS = """
import os
together = threading.Barrier(8)
def allocate():
    together.wait()
    block = libc.malloc(1000)
    together.wait()
    libc.free(block)
threads = [threading.Thread(target=allocate) for _ in range(8)]
for one in threads: one.start()
for one in threads: one.join()
ours, theirs = os.pipe()
stream = libc.fdopen(theirs, b"w")
libc.malloc_info(0, stream)
libc.fclose(stream)
print(os.fdopen(ours).read().count("<heap nr="))
"""


def test_threads_share_a_few_arenas() -> None:
    assert int(said_by(ARENAS_OF_EIGHT_THREADS, keeps_little=True)) <= 2
    assert int(said_by(ARENAS_OF_EIGHT_THREADS, keeps_little=False)) > 2, "the test sees no difference"


WHERE_IT_COMES_FROM = """
for line in open("/proc/self/maps"):
    first, last = (int(part, 16) for part in line.split()[0].split("-"))
    if first <= address < last:
        print("heap" if "[heap]" in line else "mapped")
"""

A_LARGE_BLOCK = """
libc.free(libc.malloc(8_000_000))
libc.free(libc.malloc(4_000_000))
address = libc.malloc(4_000_000)
"""

A_BLOCK_OF_THE_SDK = """
address = libc.malloc(380_000)
"""


def test_a_large_block_goes_back_to_the_system_however_large_one_was_before() -> None:
    assert said_by(A_LARGE_BLOCK + WHERE_IT_COMES_FROM, keeps_little=True).strip() == "mapped"
    assert said_by(A_LARGE_BLOCK + WHERE_IT_COMES_FROM, keeps_little=False).strip() == "heap", (
        "the test sees no difference"
    )


def test_a_block_that_the_sdk_takes_with_each_task_is_not_asked_of_the_system_each_time() -> None:
    assert said_by(A_BLOCK_OF_THE_SDK + WHERE_IT_COMES_FROM, keeps_little=True).strip() == "heap"
    assert said_by(A_BLOCK_OF_THE_SDK + WHERE_IT_COMES_FROM, keeps_little=False).strip() == "mapped", "no difference"


FREE_BETWEEN_KEPT_BLOCKS = """
from worker_core.basics.allocator import give_back

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

blocks = [libc.malloc(100_000) for _ in range(200)]
for block in blocks: ctypes.memset(block, 1, 100_000)
for block in blocks[:-1]: libc.free(block)
full = resident()
give_back()
print((full - resident()) // 1_000_000)
"""


def test_what_is_free_between_kept_blocks_is_given_back_when_asked() -> None:
    assert int(said_by(FREE_BETWEEN_KEPT_BLOCKS, keeps_little=True)) > 15
    assert int(said_by(FREE_BETWEEN_KEPT_BLOCKS, keeps_little=False)) < 15, "only where little is kept"
