"""What masking costs: with many secrets declared, beside one."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from pathlib import Path

from bench.processor_time import least
from bench.result import Result
from worker_core.logs.redaction import Redactor

TEXT_LENGTH = 100_000
PIECE = "some token "
SECRETS = 300
ROUNDS = 15


def measure_masking() -> list[Result]:
    """A text of prose and code, and a piece of a streamed answer."""
    source = Path(__file__).with_name("worker.py").read_text(encoding="utf-8")
    text = (source * (TEXT_LENGTH // len(source) + 1))[:TEXT_LENGTH]
    one, many = redactor(1), redactor(SECRETS)
    return [
        Result(
            name=f"masking 100 kB with {SECRETS} secrets, beside 1", unit="ms",
            ours=least(lambda: many.mask(text), rounds=ROUNDS),
            bare=least(lambda: one.mask(text), rounds=ROUNDS),
            goal=20,
        ),
        Result(
            name=f"masking a streamed piece with {SECRETS}, beside 1", unit="ms",
            ours=least(stream_of(many), rounds=ROUNDS) / 100, bare=least(stream_of(one), rounds=ROUNDS) / 100, goal=0.1,
        ),
    ]  # fmt: skip


def redactor(secrets: int) -> Redactor:
    made, chance = Redactor(), random.Random(1)
    made.add(*("".join(chance.choices(string.ascii_letters + string.digits, k=40)) for _ in range(secrets)))
    return made


def stream_of(known: Redactor) -> Callable[[], None]:
    def act() -> None:
        stream = known.stream()
        for _ in range(100):
            stream.feed(PIECE)

    return act
