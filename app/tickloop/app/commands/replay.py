"""`tickloop replay`: a file or a journal again, at its own pace or faster."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import click

from tickloop.app.feed_options import feed_options, specification
from tickloop.app.options import data_option, json_option, new_data
from tickloop.core.clock import iso, today_utc
from tickloop.core.config import load


@click.command()
@click.option("--feed", metavar="KIND:PATH", help="A finite feed, as for `tickloop run`.")
@click.option(
    "--journal", type=click.Path(path_type=Path, exists=True), metavar="LOG|DIR",
    help="A log, or a data directory whose logs are played in order.",
)  # fmt: skip
@data_option
@feed_options
@click.option("--port", type=click.IntRange(0, 65535), help="Plant's q port; 0 takes a free one.")
@json_option
def replay(
    feed: str | None, journal: Path | None, data: Path | None, config_path: Path | None,
    session_date: date | None, append: bool, fresh: bool, port: int | None, speed: float,
    as_json: bool, **options: Any,
) -> int:  # fmt: skip
    """Play a feed or a journal into a new data directory; subscribers get it as if live.

    Rows of a journal are taken as recorded, with their times; only seqs are new. Two replays
    give byte-equal journals. Ends with one line; exit code 1 if the source was damaged.

    \b
    Examples:
      tickloop replay --journal data/2026-11-20/journal/2026-11-20.log --speed 10
      tickloop replay --feed itch:12302019.NASDAQ_ITCH50.gz --speed 1 --port 5010
    """
    from tickloop.app.capture_run import capture_feed

    if (feed is None) == (journal is None):
        raise click.UsageError("one of --feed and --journal is needed")
    wanted = specification(
        feed or f"journal:{journal}", session_date=session_date, speed=speed, **options
    )
    done = capture_feed(
        wanted, new_data(data, today_utc()), load(config_path), append=append, fresh=fresh,
        stay=False, port=port, speed=speed, quiet=as_json, announce=None,
    )  # fmt: skip
    if as_json:
        print(json.dumps(done.as_json()))
        return 0 if done.is_good else 1
    rows = sum(done.rows.values())
    torn = f", damaged: {'; '.join(done.damage)}" if done.damage else ""
    print(f"replayed {rows:,} rows, {done.first_time or iso(0)}..{done.last_time}{torn}")
    print(f"into {done.data}")
    return 0 if done.is_good else 1
