"""Python for the children of a frozen worker: the `python` and file tools, and what starts tools with fewer rights.

A frozen program has no interpreter beside it. This one (`kubiya-python` in the bundle) understands what the worker asks
of one: `-I`, `-S`, `-u`, `-X ...`, `-W ACTION`, then `-c CODE` or a script, then its arguments.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Run what the arguments name; ends as Python would."""
    rest = list(sys.argv[1:] if arguments is None else arguments)
    while rest and rest[0] in {"-I", "-S", "-u", "-X", "-W"}:
        option = rest.pop(0)
        value = rest.pop(0) if option in {"-X", "-W"} and rest else ""
        if option == "-W":
            import warnings

            warnings.simplefilter(value)  # type: ignore[arg-type]
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", write_through=True)  # type: ignore[union-attr]
    sys.stdin.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
    if len(rest) >= 2 and rest[0] == "-c":
        name, code, sys.argv = "<string>", rest[1], ["-c", *rest[2:]]
    elif rest and not rest[0].startswith("-"):
        name, sys.argv = rest[0], rest
        with open(name, "rb") as file:  # noqa: PTH123 - pathlib would be one more import of a short-lived child
            code = file.read().decode("utf-8")
    else:
        sys.exit("usage: kubiya-python [-I] [-S] [-u] [-X OPTION] [-W ACTION] (-c CODE | SCRIPT) [ARGUMENT...]")
    module = sys.modules["__main__"].__dict__
    module.clear()
    module.update(__name__="__main__", __builtins__=__builtins__, __file__=name)
    exec(compile(code, name, "exec"), module)  # noqa: S102 - that is what it is for
