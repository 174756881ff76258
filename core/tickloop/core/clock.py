"""The only reader of the wall clock; everything else is told the time."""

import time
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

# kdb+ counts nanoseconds since 2000-01-01 UTC; so does everything inside.
EPOCH_UNIX_NS = 946_684_800_000_000_000
DAY_NS = 86_400_000_000_000
EPOCH_DATE = date(2000, 1, 1)
NULL_TIME = -(2**63)


class Clock(Protocol):
    """A source of instants in nanoseconds since 2000-01-01 UTC."""

    def now(self) -> int:
        """Read the current instant."""
        ...


class WallClock:
    """The machine's clock, held from going backwards when the machine's clock is stepped."""

    def __init__(self) -> None:
        self._last_ns = NULL_TIME

    def now(self) -> int:
        """Read the wall clock; never less than the previous reading."""
        self._last_ns = max(self._last_ns, time.time_ns() - EPOCH_UNIX_NS)
        return self._last_ns


class FeedClock:
    """A replay's clock: it shows the latest feed time that it was advanced to."""

    def __init__(self, start_ns: int = NULL_TIME) -> None:
        self._now_ns = start_ns

    def now(self) -> int:
        """Read the feed's time; NULL_TIME before the first row."""
        return self._now_ns

    def advance_to(self, time_ns: int) -> None:
        """Move forward to `time_ns`; an earlier instant leaves the clock where it is."""
        self._now_ns = max(self._now_ns, time_ns)


def monotonic_ns() -> int:
    """Read a clock for measuring spans; its zero means nothing."""
    return time.perf_counter_ns()


def sleep(seconds: float) -> None:
    """Give the processor away for a while."""
    time.sleep(seconds)


def today_utc() -> date:
    """Read the wall clock's UTC date."""
    return datetime.now(tz=UTC).date()


def from_unix_ns(unix_ns: int) -> int:
    """Convert nanoseconds since 1970 to nanoseconds since 2000."""
    return unix_ns - EPOCH_UNIX_NS


def to_unix_ns(time_ns: int) -> int:
    """Convert nanoseconds since 2000 to nanoseconds since 1970."""
    return time_ns + EPOCH_UNIX_NS


def date_of(time_ns: int, *, zone: str = "UTC", roll_ns: int = 0) -> date:
    """Give the session date of an instant: the local date, or the next one from the roll on.

    A roll of 17:00 puts 18:00 on the next session, so a positive roll moves the evening forward.
    """
    if zone == "UTC":
        return EPOCH_DATE + timedelta(days=(time_ns + (-roll_ns % DAY_NS)) // DAY_NS)
    session = to_datetime(time_ns).astimezone(ZoneInfo(zone)).date()
    while time_ns < session_start_ns(session, zone=zone, roll_ns=roll_ns):
        session -= timedelta(days=1)
    while time_ns >= session_start_ns(session + timedelta(days=1), zone=zone, roll_ns=roll_ns):
        session += timedelta(days=1)
    return session


def session_start_ns(session: date, *, zone: str = "UTC", roll_ns: int = 0) -> int:
    """Give a session's first instant: local midnight, or the roll on the evening before.

    The roll is a time on the wall, also on days when the clocks change. A wall time that comes
    twice means the first one; one that is skipped means the instant as if clocks had not changed.
    """
    day = session - timedelta(days=1) if roll_ns > 0 else session
    seconds, nanos = divmod(roll_ns, 1_000_000_000)
    midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    wall = midnight + timedelta(seconds=seconds)
    return from_unix_ns(int(wall.timestamp()) * 1_000_000_000) + nanos


def is_zone(name: str) -> bool:
    """Tell whether a name is a time zone's, such as America/New_York or UTC."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        # A folder of zones, such as "America", is an OSError.
        return False
    return True


def midnight_ns(session: date, zone: str = "UTC") -> int:
    """Give the instant of local midnight, from which exchanges count their stamps."""
    return session_start_ns(session, zone=zone)


def to_datetime(time_ns: int) -> datetime:
    """Convert to a UTC datetime; what is below a microsecond is cut."""
    return datetime(2000, 1, 1, tzinfo=UTC) + timedelta(microseconds=time_ns // 1000)


def iso(time_ns: int) -> str:
    """Spell an instant as ISO 8601 with nanoseconds and `Z`; the null instant is empty."""
    if time_ns == NULL_TIME:
        return ""
    seconds, nanos = divmod(time_ns, 1_000_000_000)
    stamp = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    return f"{stamp:%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"
