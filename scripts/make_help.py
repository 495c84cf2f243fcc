"""Prints the targets of a Makefile with the text after `##`: portable where awk and sed are not."""

import re
import sys
from pathlib import Path

TARGET = re.compile(r"^([a-z][a-z-]*):.*?## (.+)$")

for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines():
    if found := TARGET.match(line):
        print(f"  make {found[1]:<10} {found[2]}")
