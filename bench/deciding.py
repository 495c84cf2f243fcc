"""What the policy's decision about one call costs, with an argument as long as a tool takes."""

from __future__ import annotations

import random
import string
import tempfile
from pathlib import Path

from bench.processor_time import least
from bench.result import Result
from worker_core.policy.builtin import built_in_rules
from worker_core.policy.file import parse
from worker_core.policy.rules import Policy
from worker_core.policy.subjects import Reader, subjects_of

LENGTH = 200_000
ROUNDS = 5
RULES = '[[deny]]\npath = "~/company/**"\n[[deny]]\ncommand = "git push --force*"\n[[ask]]\nhost = "*.example"\n'

_LETTERS = string.ascii_letters + string.digits
_WORD = "".join(random.Random(1).choices(_LETTERS, k=LENGTH))
TEXTS = {
    "one word": _WORD,
    "base64 in lines": "\n".join(_WORD[at : at + 75] + "/" for at in range(0, LENGTH, 76)),
    "paths": "src/a/b.py ~/company/c.txt /srv/d/e ",
    "addresses": "https://api.example/v1?a=b user@host:path ",
    "slashes": "/",
    "words": "word ",
    "assignments": "PAGER=x ",
    "quotation marks": "'\"",
    "substitutions": "echo $(date) `date` ",
    "indexes": "'a[$(date)]' ",
}
"""Each is repeated to the length."""


def measure_deciding() -> list[Result]:
    """As a file that is written, and as a command line: of all texts the one that takes longest."""
    with tempfile.TemporaryDirectory(prefix="kubiya-bench-") as folder:
        policy = Policy(rules=parse(RULES, file="bench"), built_in=built_in_rules(own_folders=("/state",)))

        def took(name: str, text: str) -> float:
            def decide() -> None:
                reader = Reader(Path(folder), denied=policy.denied_words(folder))
                policy.decide(subjects_of("tool", reader.arguments({name: text})), tool="tool", workspace=folder)

            return least(decide, rounds=ROUNDS)

        whole = {kind: (text * (LENGTH // len(text) + 1))[:LENGTH] for kind, text in TEXTS.items()}
        return [
            Result(
                name=f"deciding about 200 kB as a {what}, beside `ls`", unit="ms",
                ours=max(took(name, text) for text in whole.values()), bare=took(name, "ls"), goal=50,
            )
            for what, name in (("text", "content"), ("command", "command"))
        ]  # fmt: skip
