"""The session date that a feed file's name carries, in the spellings that venues use."""

import re
from datetime import date

YEARS = range(1990, 2100)
_ISO = re.compile(r"(?<!\d)(\d{4})-(\d{2})-(\d{2})(?!\d)")
_EIGHT = re.compile(r"(?<!\d)(\d{8})(?!\d)")
# Nasdaq's S081321-v50: month, day, year of two digits.
_SESSION = re.compile(r"S(\d{2})(\d{2})(\d{2})\s*-v\d+", re.IGNORECASE)


def date_in_name(name: str) -> date | None:
    """Find the date in a file name, or None: 2019-12-30, 20191230, 12302019 or S123019-v50."""
    for year, month, day in _candidates(name):
        try:
            found = date(year, month, day)
        except ValueError:
            continue
        if found.year in YEARS:
            return found
    return None


def _candidates(name: str) -> list[tuple[int, int, int]]:
    """List (year, month, day) as the name may spell them, likeliest first."""
    found = [(int(y), int(m), int(d)) for y, m, d in _ISO.findall(name)]
    found += [(2000 + int(y), int(m), int(d)) for m, d, y in _SESSION.findall(name)]
    for digits in _EIGHT.findall(name):
        found.append((int(digits[:4]), int(digits[4:6]), int(digits[6:])))
        found.append((int(digits[4:]), int(digits[:2]), int(digits[2:4])))
    return found
