"""Sets up the real gateways of tests/gateways (LiteLLM's proxy, llama.cpp's server) and runs the tests against them.

They have an environment of their own in the user's cache: their packages do not go with ours. Where the package
registry does not have them, that is said and nothing fails.

Usage: .venv/bin/python scripts/gateways.py [--if-possible] [PYTEST ARGUMENT ...]
"""

from __future__ import annotations

import sys

from own_environment import environment, run_tests, set_up, switches


def main() -> int:
    chosen, arguments = switches("--if-possible")
    if why := set_up("gateways", what="LiteLLM and llama.cpp"):
        print(f"The real gateways are not there: {why}. Their tests are not run.", file=sys.stderr)
        return 0 if "--if-possible" in chosen else 1
    return run_tests(arguments or ["tests/gateways"], gateways=environment("gateways"))


if __name__ == "__main__":
    sys.exit(main())
