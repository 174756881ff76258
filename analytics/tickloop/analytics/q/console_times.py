"""Temporal values as q writes them: 2000.01.01D00:00:00.000000000, 2000.01, 09:30."""

from collections.abc import Callable
from datetime import date

from tickloop.analytics.q.values import QType

DAY_NS = 86_400_000_000_000
DAY_MS = 86_400_000
# q's day 0 is 2000.01.01; it writes the years 1 to 9999 and zeros for any other day.
_ORIGIN = date(2000, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal()
_FIRST_MONTH = -1999 * 12
_LAST_MONTH = 8000 * 12


def date_text(day: int) -> str:
    """Write a date."""
    ordinal = day + _ORIGIN
    if not 1 <= ordinal <= _LAST_DAY:
        return "0000.00.00"
    at = date.fromordinal(ordinal)
    return f"{at.year:04d}.{at.month:02d}.{at.day:02d}"


def month_text(month: int) -> str:
    """Write a month, without the suffix that tells it from a float."""
    if not _FIRST_MONTH <= month < _LAST_MONTH:
        return "0000.00"
    return f"{2000 + month // 12:04d}.{month % 12 + 1:02d}"


def timestamp_text(moment: int) -> str:
    """Write a timestamp of nanoseconds."""
    day, rest = divmod(moment, DAY_NS)
    return f"{date_text(day)}D{_clock(rest // 1_000_000_000)}.{rest % 1_000_000_000:09d}"


def datetime_text(moment: float) -> str:
    """Write a datetime of days, to the millisecond."""
    day, rest = divmod(round(moment * DAY_MS), DAY_MS)
    return f"{date_text(day)}T{_clock(rest // 1000)}.{rest % 1000:03d}"


def timespan_text(span: int) -> str:
    """Write a timespan of nanoseconds."""
    day, rest = divmod(abs(span), DAY_NS)
    clock = f"{_clock(rest // 1_000_000_000)}.{rest % 1_000_000_000:09d}"
    return f"{_sign(span)}{day}D{clock}"


def minute_text(span: int) -> str:
    """Write a time of day of minutes."""
    hour, minute = divmod(abs(span), 60)
    return f"{_sign(span)}{hour:02d}:{minute:02d}"


def second_text(span: int) -> str:
    """Write a time of day of seconds."""
    return _sign(span) + _clock(abs(span))


def time_text(span: int) -> str:
    """Write a time of day of milliseconds."""
    second, rest = divmod(abs(span), 1000)
    return f"{_sign(span)}{_clock(second)}.{rest:03d}"


def _sign(span: int) -> str:
    return "-" if span < 0 else ""


def _clock(second: int) -> str:
    return f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"


WHOLE: dict[QType, Callable[[int], str]] = {
    QType.TIMESTAMP: timestamp_text,
    QType.MONTH: month_text,
    QType.DATE: date_text,
    QType.TIMESPAN: timespan_text,
    QType.MINUTE: minute_text,
    QType.SECOND: second_text,
    QType.TIME: time_text,
}


def temporal_text(kind: QType, value: float) -> str:
    """Write a temporal value that is neither null nor infinite."""
    if kind is QType.DATETIME:
        return datetime_text(value)
    return WHOLE[kind](int(value))
