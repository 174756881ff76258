"""Days and months since 2000.01.01 in the proleptic Gregorian calendar, whole arrays at a time."""

from datetime import date
from typing import Any

import numpy as np
import numpy.typing as npt

Days = npt.NDArray[np.int64]
_EPOCH = 10_957  # days from 1970.01.01
_EPOCH_MONTHS = 360
_EPOCH_ORDINAL = date(2000, 1, 1).toordinal()

DAY_NS = 86_400 * 10**9


def months_of(days: npt.NDArray[Any]) -> Days:
    """Give the month of each day."""
    instants = (days.astype(np.int64) + _EPOCH).astype("datetime64[D]")
    return instants.astype("datetime64[M]").astype(np.int64) - _EPOCH_MONTHS


def first_days(months: npt.NDArray[Any]) -> Days:
    """Give the first day of each month."""
    instants = (months.astype(np.int64) + _EPOCH_MONTHS).astype("datetime64[M]")
    return instants.astype("datetime64[D]").astype(np.int64) - _EPOCH


def days_from_civil(year: int, month: int, day: int) -> int | None:
    """Give the day of a date of the years 1 to 9999; None if there is no such date."""
    try:
        return date(year, month, day).toordinal() - _EPOCH_ORDINAL
    except ValueError:
        return None
