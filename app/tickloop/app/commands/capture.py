"""`tickloop capture`: a run for services; one line, no questions."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import click

from tickloop.app.feed_options import feed_options, specification
from tickloop.app.options import FiniteRange, data_option, json_option, new_data
from tickloop.core.clock import today_utc
from tickloop.core.config import load


@click.command()
@click.option("--feed", required=True, metavar="KIND:PATH", help="As for `tickloop run`.")
@data_option
@feed_options
@click.option("--seconds", type=FiniteRange(min=0.1), help="Stop after this long.")
@click.option("--port", type=click.IntRange(0, 65535), help="Open the plant's q port here.")
@json_option
def capture(
    feed: str, data: Path | None, config_path: Path | None, session_date: date | None,
    append: bool, fresh: bool, seconds: float | None, port: int | None, speed: float,
    as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Capture a feed until its end, a time limit, SIGTERM or Ctrl-C, and print one line.

    \b
    Examples:
      tickloop capture --feed binance-live:btcusdt --data crypto --seconds 3600
      tickloop capture --feed itch:12302019.NASDAQ_ITCH50.gz --data day1 --json
    """
    from tickloop.app.capture_run import capture_feed

    wanted = specification(feed, session_date=session_date, speed=speed, **options)
    done = capture_feed(
        wanted, new_data(data, today_utc()), load(config_path), append=append, fresh=fresh,
        stay=False, port=port, speed=speed, quiet=True, announce=None,
        limit_ns=int(seconds * 1e9) if seconds else None,
    )  # fmt: skip
    if as_json:
        print(json.dumps(done.as_json()))
        return 0 if done.is_good else 1
    rows = sum(done.rows.values())
    print(f"captured {done.messages:,} messages from {done.feed}; {rows:,} rows in {done.data}")
    return 0 if done.is_good else 1
