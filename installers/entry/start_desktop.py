"""What the frozen program begins with."""

from desktop.__main__ import main

main()
