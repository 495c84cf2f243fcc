"""A worker that runs without a terminal: a small process that starts it, watches it and starts it again.

`supervisor.py` and what it imports use the standard library alone: it lives for months, and is to weigh next to
nothing. `launch.py` and `instances.py` are for the command line, `life_line.py` is the worker's end.
"""
