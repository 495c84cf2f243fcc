"""This machine: who it is, what it can hold, how loaded it is, when it slept or moved."""
