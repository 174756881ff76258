"""Options of the commands that read a feed."""

from collections.abc import Callable
from datetime import date
from typing import Any, TypeVar

import click

from tickloop.app.feeds import SYNTHETIC, Specification, kind_and_target
from tickloop.app.options import FiniteRange, SessionDate, SessionZone
from tickloop.core.clock import today_utc
from tickloop.core.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--date", "session_date", type=SessionDate(), metavar="YYYY-MM-DD",
        help="Session date, where the file and its name carry none.",
    ),
    click.option(
        "--zone", type=SessionZone(), default="", metavar="ZONE",
        help="Session zone, from whose midnight stamps count [default: the feed's, e.g."
        " America/New_York].",
    ),
    click.option("--symbol", default="", help="Instrument, where the file does not name it."),
    click.option(
        "--speed", type=FiniteRange(min=0), default=0.0, show_default=True,
        help="Pace by the feed's clock, times this; 0 is as fast as possible.",
    ),
    click.option(
        "--cut-ms", type=FiniteRange(min=0), default=None,
        help="Cut slices at multiples of this much feed time, so that logs are byte-equal at any"
        " speed [default: 100 when paced, else none].",
    ),
    click.option("--append", is_flag=True, help="Capture the same feed once more after the rest."),
    click.option("--fresh", is_flag=True, help="Delete what the data directory holds first."),
    click.option(
        "--symbols", type=click.IntRange(1, 5000), default=100, show_default=True,
        help="Synthetic day: number of instruments.",
    ),
    click.option(
        "--messages", type=click.IntRange(10_000), default=2_000_000, show_default=True,
        help="Synthetic day: number of ITCH messages.",
    ),
    click.option(
        "--seed", type=click.IntRange(0), default=1, show_default=True, help="Synthetic day: seed."
    ),
)  # fmt: skip


def feed_options(function: F) -> F:
    """Add what a feed needs to be told."""
    for option in reversed(_OPTIONS):
        function = option(function)
    return function


def specification(
    feed: str | None, *, session_date: date | None, zone: str, symbol: str, speed: float,
    cut_ms: float | None, symbols: int, messages: int, seed: int,
) -> Specification:  # fmt: skip
    """Read a feed and its options; without one, today's synthetic day.

    A usage error if there is no such kind of feed.
    """
    day = session_date or today_utc()
    try:
        kind, target = kind_and_target(feed or f"{SYNTHETIC}:{day.isoformat()}")
    except ConfigError as error:
        raise click.UsageError(str(error)) from error
    if kind.name == SYNTHETIC:
        target = _synthetic_date(target)
    if cut_ms is None:
        cut_ms = 100.0 if speed > 0 else 0.0
    return Specification(
        kind, target, session_date, zone, symbol, cut_ms, symbols, messages, seed
    )  # fmt: skip


def _synthetic_date(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise click.UsageError(
            f"synthetic day {text!r} seen, a date such as synthetic:2024-01-02 expected"
        ) from None
