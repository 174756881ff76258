"""Days and months since 2000.01.01 in the proleptic Gregorian calendar, whole arrays at a time."""

from typing import Any

import numpy as np
import numpy.typing as npt

Days = npt.NDArray[np.int64]
_EPOCH = 10_957  # days from 1970.01.01
_EPOCH_MONTHS = 360

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
    if not (1 <= year <= 9999 and 1 <= month <= 12 and 1 <= day <= 31):
        return None
    months = np.array([(year - 2000) * 12 + month - 1])
    first, after = first_days(np.append(months, months + 1)).tolist()
    return first + day - 1 if first + day - 1 < after else None
