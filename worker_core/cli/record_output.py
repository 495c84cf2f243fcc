"""`kubiya-worker record-output`, for daemons alone: what a worker printed goes into the log file, masked."""

from __future__ import annotations

from pathlib import Path

import click

from worker_core.logs.sinks import LogFormat


@click.command(hidden=True)
@click.option("--file", type=click.Path(path_type=Path), required=True)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
@click.option("--limit-mb", type=int, required=True)
@click.option("--files", type=int, required=True)
def command(*, file: Path, style: LogFormat, limit_mb: int, files: int) -> None:
    import sys

    from worker_core.daemon.record import record

    record(sys.stdin.buffer, file=file, style=style, limit_mb=limit_mb, files=files)
