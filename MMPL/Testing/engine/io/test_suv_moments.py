"""Dates and times as DICOM writes them, and the gaps between them."""

from __future__ import annotations

import datetime

import pytest

from mmpl.io.suv.moments import Moment, after, gap, moment, moment_of_datetime

DAY = datetime.date(2024, 3, 5)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("10", 36000),
        ("1015", 36900),
        ("101530", 36930),
        ("101530.25", 36930.25),
        ("101530.2500000", 36930.25),
        ("10:15:30", 36930),
        ("235960", 86400),
    ],
)
def test_times_are_read(text, seconds):
    assert moment("20240305", text) == Moment(seconds, DAY)


@pytest.mark.parametrize(
    "text", ["", "9", "240000", "106000", "101561", "10153", "abc", "-10000", "101530,25", "101530.", "1\0"]
)
def test_what_is_no_time_is_none(text):
    assert moment("20240305", text) is None


@pytest.mark.parametrize("text", ["", "20240230", "00000101", "2024", "20241301", "abc", "20240305\\20240306"])
def test_without_a_date_that_can_be_a_time_has_none(text):
    assert moment(text, "1015") == Moment(36900, None)


def test_old_dates_are_read():
    assert moment("2024.03.05", "10").date == DAY


@pytest.mark.parametrize(
    ("text", "seconds", "zone"),
    [
        ("20240305101530.5+0100", 36930.5, "+0100"),
        ("20240305101530.50000000", 36930.5, ""),
        ("2024030510", 36000, ""),
        ("202403051015-0530", 36900, "-0530"),
    ],
)
def test_datetimes_are_read_with_their_zone(text, seconds, zone):
    assert moment_of_datetime(text) == (Moment(seconds, DAY), zone)


@pytest.mark.parametrize("text", ["", "20240305", "202403051", "20240305246060", "2024-03-05 10:15"])
def test_what_is_no_datetime_is_none(text):
    assert moment_of_datetime(text)[0] is None


def test_gaps_go_over_midnight():
    late, early = Moment(86000.0, DAY), Moment(400.0, DAY + datetime.timedelta(days=1))
    assert gap(early, late) == 800
    assert gap(Moment(400.0, None), late) == 800  # the shorter way round
    assert gap(late, Moment(400.0, None)) == -800
    assert after(Moment(400.0, None), late) == 800
    assert after(late, Moment(400.0, None)) == 85600  # an injection comes before


def test_later_crosses_days_and_the_end_of_time():
    assert Moment(86000.0, DAY).later(800.0) == Moment(400.0, DAY + datetime.timedelta(days=1))
    assert Moment(0.0, DAY).later(-1.0) == Moment(86399.0, DAY - datetime.timedelta(days=1))
    assert Moment(0.0, datetime.date.max).later(90_000.0) == Moment(3600.0, None)
    assert Moment(86399.9, DAY).clock == "00:00:00"
