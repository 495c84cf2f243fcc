"""Values of a type from JSON, in many threads at once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import pytest

from worker_core.basics import typed_json

FIRST_LOOKS = """
import sys, threading
from dataclasses import make_dataclass
from worker_core.basics import typed_json

sys.setswitchinterval(1e-6)
THREADS = 8
for number in range(60):
    leaf = make_dataclass(f"Leaf{number}", [(f"n{at}", "int") for at in range(6)])
    rows = make_dataclass(f"Rows{number}", [("leaf", leaf), ("rest", list[leaf])])
    kind = make_dataclass(f"Kind{number}", [("rows", rows), ("pairs", dict[str, leaf])])
    one = {f"n{at}": at for at in range(6)}
    said = {"rows": {"leaf": one, "rest": [one]}, "pairs": {"a": one}}
    barrier, seen = threading.Barrier(THREADS), []

    def look():
        barrier.wait()
        seen.append(typed_json.convert(said, kind))

    threads = [threading.Thread(target=look) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.rows.rest[0].n5 for one in seen] == [5] * THREADS
    assert [one.pairs["a"].n1 for one in seen] == [1] * THREADS
print("all are whole")
"""


def test_a_first_look_in_many_threads_ends_no_process() -> None:
    """Executions that begin together, in a worker that was just started: seen once in ten starts on a busy machine."""
    done = subprocess.run([sys.executable, "-c", FIRST_LOOKS], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "all are whole\n"), done.stderr


@dataclass(frozen=True)
class Pair:
    name: str
    number: int = 1


def test_values_of_a_type() -> None:
    assert typed_json.decode(b'{"name": "a", "more": 1}', Pair) == Pair("a")
    assert typed_json.decode('[{"name": "a", "number": 2}]', list[Pair]) == [Pair("a", 2)]
    assert typed_json.decode(b"[1, null]", Any) == [1, None]
    assert typed_json.convert({"name": "a", "number": "2"}, Pair, strict=False) == Pair("a", 2)
    assert typed_json.convert(5, Annotated[int, msgspec.Meta(le=5)]) == 5


@pytest.mark.parametrize("content", [b'{"name": 1}', b"{}", b"[]", b'{"name": "a", "number": "2"}'])
def test_what_is_none_of_it_is_refused(content: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        typed_json.decode(content, Pair)
    with pytest.raises(msgspec.ValidationError):
        typed_json.convert(msgspec.json.decode(content), Pair)


def test_what_is_no_json_is_refused() -> None:
    with pytest.raises(msgspec.DecodeError):
        typed_json.decode(b'{"name": ', Pair)
