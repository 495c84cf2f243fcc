"""`make bench`: start-up, memory and execution times, each beside a bare Temporal SDK worker in the same run; tool
calls in the sandbox beside the same calls without it; the tray and its window beside a bare Qt program; the
frozen programs beside those from source.

python -m bench [--only ROW] [--rounds N] [--write] [--json FILE]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from bench.result import RESULTS, Result, changes, committed, merged, read, table, written
from bench.worker import ROWS, measure_worker, say


def sandbox(folder: Path, rounds: int) -> Iterable[Result]:
    from bench.sandbox import measure_sandbox

    return measure_sandbox(folder)


def calls(folder: Path, rounds: int) -> Iterable[Result]:
    from bench.calls import measure_calls

    return measure_calls(folder)


def many(folder: Path, rounds: int) -> Iterable[Result]:
    from bench.many import measure_many

    return measure_many(folder)


def masking(folder: Path, rounds: int) -> Iterable[Result]:
    from bench.masking import measure_masking

    return measure_masking()


def deciding(folder: Path, rounds: int) -> Iterable[Result]:
    from bench.deciding import measure_deciding

    return measure_deciding()


def tray(folder: Path, rounds: int) -> Iterator[Result]:
    from bench.desktop import measure_desktop, missing

    if why := missing():
        say(why)
        return
    yield from measure_desktop(folder, rounds=rounds)


def frozen(folder: Path, rounds: int) -> Iterator[Result]:
    from bench.frozen import measure_frozen, nothing_frozen

    if why := nothing_frozen():
        say(why)
        return
    yield from measure_frozen(folder, rounds=rounds)


OTHERS: Final[Mapping[str, Callable[[Path, int], Iterable[Result]]]] = {
    "sandbox": sandbox, "calls": calls, "many": many, "masking": masking, "deciding": deciding, "desktop": tray,
    "frozen": frozen,
}  # fmt: skip


def main(given: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="starts of each program (default: 5)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was measured to this file")
    parser.add_argument("--write", action="store_true", help=f"put it into {RESULTS.name}, which is committed")
    parser.add_argument(
        "--only", metavar="ROW", choices=[*ROWS, "worker", *OTHERS], action="append",
        help=f"measure this alone; may be repeated: {', '.join(ROWS)} (all of them: worker), {', '.join(OTHERS)}",
    )  # fmt: skip
    options = parser.parse_args(given)
    wanted = set(options.only or (*ROWS, *OTHERS))
    if "worker" in wanted:
        wanted |= set(ROWS)
    with tempfile.TemporaryDirectory(prefix="kubiya-bench-") as folder:
        results = list(measured(wanted, Path(folder), rounds=max(1, options.rounds)))
    print(table(results))
    for line in changes(committed(), results):
        print(line)
    if options.json:
        options.json.write_text(written(results), encoding="utf-8")
    if options.write:
        kept = read(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
        RESULTS.write_text(written(merged(kept, results)), encoding="utf-8")
    return 0


def measured(wanted: set[str], folder: Path, *, rounds: int) -> Iterator[Result]:
    """A part that something is missing for is left out, which is said."""
    if rows := wanted & set(ROWS):
        yield from measure_worker(folder, rounds=rounds, rows=rows)
    for name, measure in OTHERS.items():
        if name in wanted:
            say(name)
            try:
                yield from measure(folder / name, rounds)
            except ImportError as error:
                say(f"{name} is not measured: {error}")


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # the SDK's threads crash the interpreter now and then while it finalises
