from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker_core.logs.ring import LINE_LIMIT, LogLine, LogRing, now


def line(text: str) -> LogLine:
    return LogLine(at=now(), level="INFO", logger="test", message=text)


def test_a_reader_gets_each_line_once() -> None:
    ring = LogRing()
    for number in range(5):
        ring.append(line(f"n{number}"))
    first, cursor, _ = ring.lines_after(0, 3)
    second, cursor, _ = ring.lines_after(cursor, 3)
    third, _, _ = ring.lines_after(cursor)
    assert [one.message for one in [*first, *second, *third]] == ["n0", "n1", "n2", "n3", "n4"]


@given(st.integers(1, 5), st.lists(st.integers(0, 4), max_size=12))
def test_lines_read_and_lines_dropped_are_all_lines_written(size: int, bursts: list[int]) -> None:
    ring, cursor, read, lost, written = LogRing(size), 0, 0, 0, 0
    for burst in bursts:
        for _ in range(burst):
            ring.append(line(str(written)))
            written += 1
        lines, cursor, dropped = ring.lines_after(cursor, 2)
        assert [int(one.message) for one in lines] == list(
            range(read + lost + dropped, read + lost + dropped + len(lines))
        )
        read, lost = read + len(lines), lost + dropped
    lines, _, dropped = ring.lines_after(cursor)
    assert read + lost + len(lines) + dropped == written


def test_a_cursor_from_before_a_restart_reads_from_the_beginning() -> None:
    ring = LogRing()
    ring.append(line("first"))
    assert ring.read_after(900)[0][0].endswith("INFO first")


def test_a_very_long_line_is_cut_and_listeners_are_told() -> None:
    ring, calls = LogRing(), []
    stop = ring.listen(lambda: calls.append(1))
    ring.append(line("x" * 100_000))
    stop()
    ring.append(line("y"))
    assert len(calls) == 1
    assert len(ring.lines_after(0, 1)[0][0].message) <= LINE_LIMIT + 2
