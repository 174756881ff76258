"""`tickloop run`: the main job, from a feed to a summary."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import click

from tickloop.app.feed_options import feed_options, specification
from tickloop.app.options import data_option, json_option, new_data
from tickloop.core.clock import monotonic_ns, today_utc
from tickloop.core.config import load


@click.command()
@click.option(
    "--feed", metavar="KIND:PATH",
    help="itch:FILE, pcap:FILE, lobster:FILE, dbn:FILE, binance:FILE, binance-live:PAIRS,"
    " mold:HOST:PORT, soup:HOST:PORT, kafka:HOST:PORT, kdb:HOST:PORT[/TABLES] (a kdb+ tickerplant),"
    " synthetic:DATE [default: a synthetic day].",
)  # fmt: skip
@data_option
@feed_options
@click.option("--stay", is_flag=True, help="Keep serving after the feed has ended.")
@click.option("--port", type=click.IntRange(0, 65535), help="Plant's q port; 0 takes a free one.")
@click.option("--q-port", type=click.IntRange(0, 65535), help="With --stay: q clients. [5011]")
@click.option("--pg-port", type=click.IntRange(0, 65535), help="With --stay: SQL clients. [5433]")
@json_option
def run(
    feed: str | None, data: Path | None, config_path: Path | None, session_date: date | None,
    append: bool, fresh: bool, stay: bool, port: int | None, q_port: int | None,
    pg_port: int | None, speed: float, as_json: bool,
    **options: Any,
) -> int:  # fmt: skip
    """Capture a feed, keep it, and print what was captured.

    Without --feed it captures a synthetic exchange day, so it needs no data file. A finite feed
    ends with a summary and exit code 0, or 1 if the input was damaged (everything good before
    the damage is kept). A live feed runs until Ctrl-C. The q port is open while a run is live,
    paced or asked to --stay; with --stay, q and SQL clients are answered too, on live data, by
    processes of their own (as `tickloop serve` does).

    \b
    Examples:
      tickloop run
      tickloop run --feed itch:12302019.NASDAQ_ITCH50.gz --data day1
      tickloop run --feed lobster:LOBSTER_SampleFile_AAPL_2012-06-21_1.zip
      tickloop run --feed binance-live:btcusdt,ethusdt --stay
      tickloop run --feed pcap:open.pcap --speed 1 --stay
      tickloop run --feed kafka:127.0.0.1:9092/tickloop. --stay --data second
    """
    from tickloop.app.beside import Wanted
    from tickloop.app.capture_run import capture_feed
    from tickloop.app.summary import show

    wanted = specification(feed, session_date=session_date, speed=speed, **options)
    config = load(config_path)
    root = new_data(data, today_utc())
    if port == 0:  # free ones for all that were not named
        q_port, pg_port = q_port or 0, pg_port or 0
    beside = Wanted(q_port, pg_port, config_path) if stay else None
    started = monotonic_ns()
    done = capture_feed(
        wanted, root, config, append=append, fresh=fresh, stay=stay, port=port, speed=speed,
        quiet=as_json,
        beside=beside,
        announce=None if as_json else lambda summary, number: show(summary, port=number),
    )  # fmt: skip
    if as_json:
        print(json.dumps(done.as_json()))
    else:
        print(f"\ndone in {(monotonic_ns() - started) / 1e9:.1f} s")
    return 0 if done.is_good else 1
