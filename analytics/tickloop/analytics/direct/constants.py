"""Constants as numbers, where there is no doubt how DuckDB reads them."""

import math
import re
from datetime import UTC, date, datetime

from tickloop.analytics.direct.shape import Constant, NotSimpleError

_INTEGER = re.compile(r"[+-]?\d{1,19}")
_DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)")
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_MOMENT = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)(?:[ T](?P<time>\d\d:\d\d:\d\d)(?:\.(?P<rest>\d{1,9}))?)?"
    r"(?P<zone>Z|\+00(?::00)?)?"
)
# A literal is called INTEGER whatever its size; one that is cast has to fit.
_WHOLE = {"SMALLINT": 1 << 15, "INTEGER": 1 << 31, "BIGINT": 1 << 62, "LITERAL": 1 << 62}
# Beyond these a number is not the same in every type that it may be compared in.
_EXACT = 1 << 53
_FAR = 1 << 62
_DIGITS_MAX = 15
_UNIX = datetime(1970, 1, 1, tzinfo=UTC)
ZONED = "TIMESTAMP WITH TIME ZONE"


def whole(constant: Constant) -> int:
    """Read a whole number, at most 2**62 from 0."""
    limit = _WHOLE.get(constant.type)
    if limit is None or not _INTEGER.fullmatch(constant.text):
        raise NotSimpleError
    number = int(constant.text)
    if abs(number) >= limit:
        raise NotSimpleError
    return number


def number(constant: Constant) -> float:
    """Read a number that is compared with doubles."""
    if constant.type in _WHOLE:
        exact = whole(constant)
        if abs(exact) > _EXACT:
            raise NotSimpleError
        return float(exact)
    form = _FLOAT if constant.type in ("DOUBLE", "NUMERIC") else None
    if form is None or not form.fullmatch(constant.text):
        raise NotSimpleError
    is_decimal = constant.type == "NUMERIC" and _DECIMAL.fullmatch(constant.text)
    if is_decimal and sum(map(str.isdigit, constant.text)) > _DIGITS_MAX:
        raise NotSimpleError
    found = float(constant.text)
    if not math.isfinite(found):
        raise NotSimpleError
    return found


def day(constant: Constant) -> date:
    """Read a date."""
    if constant.type not in ("STRING", "DATE") or not _DAY.fullmatch(constant.text):
        raise NotSimpleError
    return _day(constant.text)


def text(constant: Constant) -> str:
    """Read a text."""
    if constant.type not in ("STRING", "VARCHAR"):
        raise NotSimpleError
    return constant.text


def moment(constant: Constant, column: str) -> int:
    """Read an instant that is compared with a column of a type, in nanoseconds since 1970."""
    found = _MOMENT.fullmatch(constant.text)
    kind = column if constant.type == "STRING" else constant.type
    if found is None or (kind, column) not in _COMPARED:
        raise NotSimpleError
    rest = found["rest"] or ""
    digits, may_be_zoned = _COMPARED[kind, column]
    if len(rest) > digits or (found["zone"] and not (may_be_zoned and found["time"])):
        raise NotSimpleError
    if kind == "DATE" and found["time"]:
        raise NotSimpleError
    _day(found["day"])
    try:
        at = datetime.fromisoformat(f"{found['day']}T{found['time'] or '00:00:00'}+00:00")
    except ValueError as error:
        raise NotSimpleError from error
    since = at - _UNIX
    nanoseconds = (since.days * 86_400 + since.seconds) * 10**9 + int(rest.ljust(9, "0"))
    if abs(nanoseconds) >= _FAR:
        raise NotSimpleError
    return nanoseconds


# By the constant's type and the column's: digits of a second, and whether a zone may stand there.
_COMPARED = {
    ("TIMESTAMP_NS", "TIMESTAMP_NS"): (9, False),
    ("TIMESTAMP", "TIMESTAMP_NS"): (6, False),
    ("DATE", "TIMESTAMP_NS"): (0, False),
    (ZONED, ZONED): (6, True),
    ("TIMESTAMP", ZONED): (6, False),
    ("DATE", ZONED): (0, False),
}


def _day(spelled: str) -> date:
    try:
        return date.fromisoformat(spelled)
    except ValueError as error:
        raise NotSimpleError from error
