"""Every program prints a secret in its own way; what it printed is masked."""

from __future__ import annotations

import base64
import json
import os
import random
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker_core.logs.forms import LONGEST, SHORTEST, forms_of
from worker_core.logs.redaction import MASK, Redactor

SECRET = "p@ss w'ör\"d/<&>+$x\\y~!*(é)=`"
PRINTED = {
    "Python quote": "p%40ss%20w%27%C3%B6r%22d/%3C%26%3E%2B%24x%5Cy~%21%2A%28%C3%A9%29%3D%60",
    "Python quote, nothing safe": "p%40ss%20w%27%C3%B6r%22d%2F%3C%26%3E%2B%24x%5Cy~%21%2A%28%C3%A9%29%3D%60",
    "Python quote_plus": "p%40ss+w%27%C3%B6r%22d%2F%3C%26%3E%2B%24x%5Cy~%21%2A%28%C3%A9%29%3D%60",
    "in small digits": "p%40ss%20w%27%c3%b6r%22d%2f%3c%26%3e%2b%24x%5cy~%21%2a%28%c3%a9%29%3d%60",
    "JavaScript encodeURIComponent": "p%40ss%20w'%C3%B6r%22d%2F%3C%26%3E%2B%24x%5Cy~!*(%C3%A9)%3D%60",
    "JavaScript encodeURI": "p@ss%20w'%C3%B6r%22d/%3C&%3E+$x%5Cy~!*(%C3%A9)=%60",
    "a form": "p%40ss+w%27%C3%B6r%22d%2F%3C%26%3E%2B%24x%5Cy%7E%21*%28%C3%A9%29%3D%60",
    "Go PathEscape": "p@ss%20w%27%C3%B6r%22d%2F%3C&%3E+$x%5Cy~%21%2A%28%C3%A9%29=%60",
    "JSON of Python": r"p@ss w'\u00f6r\"d/<&>+$x\\y~!*(\u00e9)=`",
    "JSON of JavaScript": r"p@ss w'ör\"d/<&>+$x\\y~!*(é)=`",
    "JSON of Go": r"p@ss w'ör\"d/\u003c\u0026\u003e+$x\\y~!*(é)=`",
    "JSON of PHP": r"p@ss w'\u00f6r\"d\/<&>+$x\\y~!*(\u00e9)=`",
    "JSON of .NET": r"p@ss w\u0027\u00F6r\u0022d/\u003C\u0026\u003E\u002B$x\\y~!*(\u00E9)=\u0060",
    "JSON in JSON": r"p@ss w'ör\\\"d/<&>+$x\\\\y~!*(é)=`",
    "HTML text": "p@ss w'ör\"d/&lt;&amp;&gt;+$x\\y~!*(é)=`",
    "HTML of Python": "p@ss w&#x27;ör&quot;d/&lt;&amp;&gt;+$x\\y~!*(é)=`",
    "HTML of Go": "p@ss w&#39;ör&#34;d/&lt;&amp;&gt;+$x\\y~!*(é)=`",
    "HTML of Go's templates": "p@ss w&#39;ör&#34;d/&lt;&amp;&gt;&#43;$x\\y~!*(é)=`",
    "HTML of PHP": "p@ss w&#039;ör&quot;d/&lt;&amp;&gt;+$x\\y~!*(é)=`",
    "HTML of Mustache": "p@ss w&#39;ör&quot;d&#x2F;&lt;&amp;&gt;+$x\\y~!*(é)&#x3D;&#x60;",
    "XML": "p@ss w&apos;ör&quot;d/&lt;&amp;&gt;+$x\\y~!*(é)=`",
    "SQL": "p@ss w''ör\"d/<&>+$x\\y~!*(é)=`",
    "MySQL": "p@ss w\\'ör\"d/<&>+$x\\\\y~!*(é)=`",
    "CSV": "p@ss w'ör\"\"d/<&>+$x\\y~!*(é)=`",
    "Python's repr": repr(SECRET)[1:-1],
    "Python's repr of bytes": repr(SECRET.encode())[2:-1],
    "Python's shlex": "p@ss w'\"'\"'ör\"d/<&>+$x\\y~!*(é)=`",
    "sh in single quotes": "p@ss w'\\''ör\"d/<&>+$x\\y~!*(é)=`",
    "sh in double quotes": "p@ss w'ör\\\"d/<&>+\\$x\\\\y~!*(é)=\\`",
    "bash printf %q": "p@ss\\ w\\'ör\\\"d/\\<\\&\\>+\\$x\\\\y~\\!\\*\\(é\\)=\\`",
    "Go %q": 'p@ss w\'ör\\"d/<&>+$x\\\\y~!*(é)=`',
    "hexadecimal": SECRET.encode().hex(),
    "hexadecimal, capitals": SECRET.encode().hex().upper(),
}  # fmt: skip


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.add(SECRET)
    return redactor


@pytest.mark.parametrize("by", PRINTED)
def test_what_programs_print_is_masked(redactor: Redactor, by: str) -> None:
    assert redactor.mask(f"before {PRINTED[by]} after") == f"before {MASK} after"


@pytest.mark.parametrize("before", ["", "x", "xx", "user:"])
@pytest.mark.parametrize("length", [60, 64, 76, 10_000])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\\n", "\\r\\n", "\\\\n"])
def test_base64_is_masked_in_lines_of_any_length(redactor: Redactor, before: str, length: int, end: str) -> None:
    encoded = base64.b64encode(f"{'-' * 40}{before}{SECRET}:more".encode()).decode()
    lines = end.join(encoded[at : at + length] for at in range(0, len(encoded), length))
    said = redactor.mask(f'{{"content": "{lines}"}}')
    assert said.count(MASK) == 1
    # A character at each end may be made of the secret and of what is beside it.
    assert len(said) <= len(lines) - len(base64.b64encode(SECRET.encode())) + len('{"content": ""}') + len(MASK) + 4


def test_base64_for_urls_is_masked(redactor: Redactor) -> None:
    assert MASK in redactor.mask(base64.urlsafe_b64encode(f"xx{SECRET}".encode()).decode())


@pytest.mark.parametrize("width", [1, 7, 20])
def test_a_secret_in_lines_is_masked(redactor: Redactor, width: int) -> None:
    """As `fold` or a narrow table prints it."""
    assert redactor.mask("\n".join(SECRET[at : at + width] for at in range(0, len(SECRET), width))) == MASK


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash on this machine")
@pytest.mark.parametrize(
    "command",
    [
        'printf "%q" "$VALUE"', "env", "declare -p VALUE", "set -x; true \"$VALUE\"", 'echo "${VALUE@Q}"',
        'alias x="$VALUE"; alias x', 'printf %s "$VALUE" | base64', 'printf %s "$VALUE" | fold -w 10', "export -p",
    ],
)  # fmt: skip
def test_what_a_shell_prints_is_masked(redactor: Redactor, command: str) -> None:
    environment = {"PATH": os.environ["PATH"], "VALUE": SECRET, "LC_ALL": "C.UTF-8"}
    done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert MASK in redactor.mask(done.stdout + done.stderr)


@given(st.text(min_size=SHORTEST, max_size=500))
def test_forms_are_neither_too_short_nor_too_long(value: str) -> None:
    assert all(SHORTEST <= len(form) <= LONGEST for form in forms_of(value))


@given(st.text(st.characters(codec="utf-8", exclude_characters="*\n\r"), min_size=SHORTEST, max_size=500))
def test_a_value_of_any_length_is_masked_whole(value: str) -> None:
    redactor = Redactor()
    redactor.add(value)
    assert redactor.mask(f"<{value}>") == f"<{MASK}>"
    for encode in (json.dumps, repr):
        assert redactor.mask(encode(value)[1:-1]) == MASK


def test_a_long_secret_that_was_cut_is_masked_as_far_as_it_stands_there() -> None:
    secret = base64.b64encode(random.Random(3).randbytes(600)).decode()
    redactor = Redactor()
    redactor.add(secret)
    assert len(redactor.mask(secret[:400]).removeprefix(MASK)) < LONGEST


def test_a_plain_value_has_few_forms() -> None:
    """Most secrets are letters and digits, which nobody quotes: they cost little to know."""
    assert len(forms_of("abcdef0123456789ABCDEF")) <= 8
