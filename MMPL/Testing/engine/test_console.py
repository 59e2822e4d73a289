"""Progress lines on a terminal and elsewhere; the clock is the test's."""

from __future__ import annotations

import io

import pytest

from mmpl.console import ConsoleProgress, duration

ERASE = "\r\x1b[K"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self):
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


def told(stream, clock, *calls) -> list[str]:
    """What appeared after each (seconds since the last, step, fraction); a step of None closes."""
    progress, shown = ConsoleProgress(stream, clock), []
    for seconds, step, fraction in calls:
        clock.now += seconds
        before = len(stream.getvalue())
        progress.close() if step is None else progress(step, fraction)
        shown.append(stream.getvalue()[before:])
    return shown


def test_a_terminal_shows_each_step_when_it_ends(clock):
    shown = told(Terminal(), clock, (0, "reading", 0), (1.5, "segmenting", 0), (0.5, "segmenting", 1), (0, None, 0))
    assert shown == ["", f"{ERASE}reading: 1.5 s\n", f"{ERASE}segmenting: 0.5 s\n", ""]


def test_a_terminal_rewrites_the_line_of_a_long_step(clock):
    shown = told(
        Terminal(),
        clock,
        (0, "segmenting", 0),
        (1.9, "segmenting", 0.1),
        (0.1, "segmenting", 0.01),
        (0.4, "segmenting", 0.2),
        (0.1, "segmenting", 0.2),
        (7.5, "segmenting", 0.5),
        (0, None, 0),
    )
    assert shown == [
        "",
        "",  # too early
        f"{ERASE}segmenting: 1 %",  # too little done to tell the time left
        "",  # too soon after the last
        f"{ERASE}segmenting: 20 %, 10 s left",  # 2.5 s for a fifth
        f"{ERASE}segmenting: 50 %, 10 s left",
        f"{ERASE}segmenting: 10.0 s\n",
    ]


def test_elsewhere_short_steps_say_nothing(clock):
    shown = told(io.StringIO(), clock, (0, "reading", 0), (9.9, "segmenting", 0), (9.9, "segmenting", 1), (0, None, 0))
    assert shown == ["", "", "", ""]


def test_elsewhere_a_long_step_has_a_line_every_ten_seconds_and_at_its_end(clock):
    steps = [(0, "segmenting", 0)] + [(4, "segmenting", 0.1 * n) for n in range(1, 7)] + [(1, "radiomics", 0)]
    shown = [text for text in told(io.StringIO(), clock, *steps) if text]
    assert shown == ["segmenting: 30 %, 28 s left\n", "segmenting: 60 %, 16 s left\n", "segmenting: 25.0 s\n"]


def test_elsewhere_no_line_comes_twice(clock):
    steps = [(0, "training", 0), (11, "training", 0.101), (11, "training", 0.104), (8, "training", 0.2)]
    shown = told(io.StringIO(), clock, *steps)
    assert shown == ["", "training: 10 %, 1 min 38 s left\n", "", "training: 20 %, 2 min 00 s left\n"]


def test_the_time_left_is_told_from_what_this_step_has_done(clock):
    """A training that is taken up at half: four minutes for a tenth are sixteen for the other four."""
    shown = told(io.StringIO(), clock, (0, "training", 0.5), (120, "training", 0.51), (120, "training", 0.6))
    assert shown == ["", "training: 51 %\n", "training: 60 %, 16 min 00 s left\n"]


def fail_halfway(stream, clock) -> None:
    with ConsoleProgress(stream, clock) as progress:
        progress("writing", 0)
        clock.now += 3
        progress("writing", 0.5)
        raise OSError("full")


def test_an_error_takes_the_unfinished_line_back(clock):
    stream = Terminal()
    with pytest.raises(OSError, match="full"):
        fail_halfway(stream, clock)
    assert stream.getvalue() == f"{ERASE}writing: 50 %, 3 s left{ERASE}"


def test_elsewhere_an_error_adds_nothing(clock):
    stream = io.StringIO()
    with pytest.raises(OSError, match="full"):
        fail_halfway(stream, clock)
    assert stream.getvalue() == ""


def test_the_end_of_the_block_ends_the_line(clock):
    stream = Terminal()
    with ConsoleProgress(stream, clock) as progress:
        progress("writing", 0)
        clock.now += 1
    assert stream.getvalue() == f"{ERASE}writing: 1.0 s\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (8, "8 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s"), (3599, "59 min 59 s"), (4210, "1 h 10 min")],
)
def test_durations(seconds, text):
    assert duration(seconds) == text
