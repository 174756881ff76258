"""Text as moments and spans, in every spelling that q reads; anything else is None."""

import re

import numpy as np

from tickloop.analytics.q.calendar import DAY_NS, days_from_civil, months_of
from tickloop.analytics.q.units import SPAN_NS
from tickloop.analytics.q.values import QType

_MONTH_NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_SECOND_NS = 10**9
_UNIX_EPOCH_DAYS = -10_957

_DIGITS_DATE = re.compile(r"(\d{4}|\d{2})(\d{2})(\d{2})")
_NAMED_DATE = re.compile(r"(\d{1,2})[-/. ]?([a-z]{3})[-/. ]?(\d{4}|\d{2})")
_YEAR_FIRST = re.compile(r"(\d{4})[-/.](\d{1,2}|[a-z]{3})[-/.](\d{1,2})")
_YEAR_LAST = re.compile(r"(\d{1,2}|[a-z]{3})[-/.](\d{1,2})[-/.](\d{4}|\d{2})")
_MONTH = re.compile(r"(\d{4})[-/.]?(\d{2}|[a-z]{3})m?")
_CLOCK = re.compile(r"(\d+)(?::(\d{1,2})(?::(\d{1,2})(?:\.(\d*))?)?)?")
_DIGITS_CLOCK = re.compile(r"(\d{2})(\d{2})?(\d{2})?\.?(\d*)")
_SPAN = re.compile(r"([+-]?)(?:(\d+)d)?(.*)")
_UNIX = re.compile(r"(\d{9,11})(?:\.(\d*))?")


def _year(text: str) -> int:
    """Read a year of two digits as one of 1950 to 2049."""
    year = int(text)
    return year if len(text) > 2 else year + (2000 if year < 50 else 1900)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTH_NAMES.index(text) + 1


def parse_date(text: str) -> int | None:
    """Read a date as days; in 01/02/2003 the month comes first."""
    text = text.strip().lower()
    try:
        if found := _DIGITS_DATE.fullmatch(text):
            year, month, day = found.groups()
        elif found := _NAMED_DATE.fullmatch(text):
            day, month, year = found.groups()
        elif found := _YEAR_FIRST.fullmatch(text):
            year, month, day = found.groups()
        elif found := _YEAR_LAST.fullmatch(text):
            month, day, year = found.groups()
        else:
            return None
        return days_from_civil(_year(year), _month(month), int(day))
    except ValueError:  # no month of that name
        return None


def parse_month(text: str) -> int | None:
    """Read a month, or the month of a date."""
    found = _MONTH.fullmatch(text.strip().lower())
    if found is None:
        days = parse_date(text)
        if days is None:
            return None
        return _months_of_day(days)
    try:
        year, month = int(found[1]), _month(found[2])
    except ValueError:
        return None
    return (year - 2000) * 12 + month - 1 if 1 <= month <= 12 and year >= 1 else None


def _months_of_day(days: int) -> int:
    return int(months_of(np.array([days]))[0])


def _fraction_ns(digits: str | None) -> int:
    """Read decimals of a second; what is finer than a nanosecond is dropped."""
    return int((digits or "0")[:9].ljust(9, "0"))


def _clock_ns(text: str) -> int | None:
    """Read a time of day as nanoseconds, with colons or as hhmmss and decimals."""
    found = _CLOCK.fullmatch(text)
    if found is None or (found[2] is None and len(found[1]) > 2):
        found = _DIGITS_CLOCK.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds, fraction = found.groups()
    if int(minutes or 0) > 59 or int(seconds or 0) > 59:
        return None
    whole = int(hours) * 3600 + int(minutes or 0) * 60 + int(seconds or 0)
    return whole * _SECOND_NS + _fraction_ns(fraction)


def parse_span(text: str, kind: QType) -> int | None:
    """Read a span in the steps of its type; what is finer is dropped."""
    found = _SPAN.fullmatch(text.strip().lower())
    assert found is not None, text
    sign, days, rest = found.groups()
    clock = _clock_ns(rest) if rest else (0 if days is not None else None)
    if clock is None:
        return None
    total = int(days or 0) * DAY_NS + clock
    return (-total if sign == "-" else total) // SPAN_NS[kind]


def parse_timestamp(text: str) -> int | None:
    """Read a moment as nanoseconds: a date and time, or seconds since 1970."""
    text = text.strip().lower().removesuffix("z")
    if found := _UNIX.fullmatch(text):
        seconds = int(found[1]) + _UNIX_EPOCH_DAYS * 86_400
        return seconds * _SECOND_NS + _fraction_ns(found[2])
    for date, clock in _split_moment(text):
        days = parse_date(date)
        time = _clock_ns(clock) if clock else 0
        if days is not None and time is not None:
            return days * DAY_NS + time
    return None


def _split_moment(text: str) -> list[tuple[str, str]]:
    """Cut a moment before its time in every way that its separators allow, first without a time."""
    cuts = [found.start() for found in re.finditer("[dt ]", text)]
    cuts += [found.start() for found in re.finditer("-", text)][-1:]
    parts = [(text[:cut], text[cut + 1 :].strip()) for cut in cuts]
    digits = [(text[:8], text[8:])] if re.fullmatch(r"\d{12,}(\.\d*)?", text) else []
    return [(text, ""), *digits, *parts]
