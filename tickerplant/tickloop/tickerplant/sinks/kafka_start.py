"""Where a reader of topics begins: at a seq, a time, an offset, the first row or the end."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tickloop.core.errors import ConfigError

_END = 2**62
_EXPECTED = (
    "seq=N, time=INSTANT (such as 2026-11-20T09:30:00Z), offset=N, end, or nothing for the first"
    " row expected"
)


@dataclass(frozen=True, slots=True)
class Start:
    """Where to begin: the first row after `seq`, or with a time, or an offset; else the first."""

    seq: int | None = None
    time: int | None = None  # the plant's, in nanoseconds since 2000
    offset: int | None = None  # of every partition


END = Start(offset=_END)  # what comes from now on


def read_start(text: str) -> Start:
    """Read a start as people write it; ConfigError otherwise."""
    if text in ("", "end"):
        return END if text else Start()
    key, _, value = text.partition("=")
    try:
        if key == "seq":
            return Start(seq=int(value))
        if key == "offset":
            return Start(offset=int(value))
        if key == "time":
            return Start(time=_instant(value))
    except (ValueError, OverflowError):
        pass
    raise ConfigError(f"start {text!r} seen, {_EXPECTED}")


def _instant(text: str) -> int:
    """Read ISO 8601, UTC unless it says otherwise; ValueError if it is none."""
    found = datetime.fromisoformat(text)
    aware = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return (aware - datetime(2000, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000
