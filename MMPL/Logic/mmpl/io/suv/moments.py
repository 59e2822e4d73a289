"""Moments of a DICOM header: a time of day, with its date where that is known."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

DAY_S = 86400.0
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d+)?")  # DICOM has six decimals, some programs more
_DATE = re.compile(r"(\d{4})\.?(\d{2})\.?(\d{2})")
_DATETIME = re.compile(r"(\d{8})(\d{2}(?:\d{2}(?:\d{2}(?:\.\d+)?)?)?)([+-]\d{4})?")


@dataclass(frozen=True)
class Moment:
    """A time of day in seconds, and its date where that is known."""

    seconds: float
    date: datetime.date | None

    @property
    def clock(self) -> str:
        """Time of day for a record, without the date: "10:15:30"."""
        whole = round(self.seconds) % int(DAY_S)
        return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}"

    def later(self, seconds: float) -> Moment:
        """The moment that many seconds later (earlier, where negative)."""
        days, rest = divmod(self.seconds + seconds, DAY_S)
        try:
            date = None if self.date is None else self.date + datetime.timedelta(days=days)
        except OverflowError:
            date = None
        return Moment(rest, date)


def moment(date: str, time: str) -> Moment | None:
    """From DICOM's DA and TM texts; None without a time that can be, undated without such a date."""
    match = _TIME.fullmatch(time)
    if match is None:
        return None
    hours, minutes, seconds = (int(part or 0) for part in match.group(1, 2, 3))
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    day = _DATE.fullmatch(date)
    try:
        known = datetime.date(*map(int, day.groups())) if day else None
    except ValueError:
        known = None
    return Moment(hours * 3600.0 + minutes * 60.0 + seconds + float(match[4] or 0), known)


def moment_of_datetime(text: str) -> tuple[Moment | None, str]:
    """From DICOM's DT text, and its time zone ("+0100", "" where none is given)."""
    match = _DATETIME.fullmatch(text)
    return (None, "") if match is None else (moment(match[1], match[2]), match[3] or "")


def gap(later: Moment, earlier: Moment) -> float:
    """Seconds between two moments, negative when ``later`` comes first; without dates, the shorter way round."""
    if later.date is not None and earlier.date is not None:
        return (later.date - earlier.date).days * DAY_S + later.seconds - earlier.seconds
    return (later.seconds - earlier.seconds + DAY_S / 2) % DAY_S - DAY_S / 2


def after(reference: Moment, injection: Moment) -> float:
    """Seconds from injection to reference; without an injection date, the last such time of day before it."""
    if reference.date is not None and injection.date is not None:
        return gap(reference, injection)
    return (reference.seconds - injection.seconds) % DAY_S
