"""`tickloop sink`: bring a data directory's rows to Kafka, QuestDB or kdb+, now or as they come."""

from dataclasses import replace
from pathlib import Path

import click

from tickloop.app.options import data_option, newest_data
from tickloop.core.config import Config, load


@click.command()
@click.argument("name", type=click.Choice(["kafka", "questdb", "kdb"]))
@data_option
@click.option("--bootstrap", metavar="HOST:PORT", help="Kafka's brokers; else [sinks.kafka].")
@click.option(
    "--address",
    metavar="HOST:PORT",
    help="QuestDB's HTTP port, or a kdb+ tickerplant's; else [sinks.questdb], [sinks.kdb].",
)
def sink(
    name: str, data: Path | None, config_path: Path | None, bootstrap: str | None,
    address: str | None,
) -> int:  # fmt: skip
    """Follow a data directory into a sink: to its end, or, beside a live run, until that ends.

    `tickloop run` does this by itself for every sink of its configuration; by hand it is for
    what a run left behind because a server was away. Goes on where the last one stopped.
    Ctrl-C or SIGTERM ends it: beside a live run after what was captured by then, else at once.
    Exits 1 if something is still missing.

    \b
    Examples:
      tickloop sink kafka --data day1 --bootstrap 127.0.0.1:9092
      tickloop sink questdb --data day1 --address 127.0.0.1:9000
      tickloop sink kdb --data day1 --address 127.0.0.1:5010
    """
    from tickloop.app.capture import stopping
    from tickloop.app.sinks import run_sink
    from tickloop.core.priority import give_way
    from tickloop.tickerplant.sinks.cursor import CursorFile

    root = newest_data(data)
    config = _with_servers(load(config_path), name, bootstrap, address)
    give_way(config.sinks.nice)
    with stopping() as stop:
        is_whole = run_sink(name, root, config, lambda: stop.is_due)
    cursor = CursorFile(root, name).peek()
    if cursor is not None:
        print(f"{name}: {cursor.rows:,} rows up to seq {cursor.seq} in {cursor.target}")
    if not is_whole:
        click.echo(
            f"{name}: rows are still waiting ({cursor.note if cursor else ''}); the same command"
            " goes on from here",
            err=True,
        )
    return 0 if is_whole else 1


def _with_servers(config: Config, name: str, bootstrap: str | None, address: str | None) -> Config:
    sinks = config.sinks
    if bootstrap:
        sinks = replace(sinks, kafka=replace(sinks.kafka, bootstrap=bootstrap))
    if address and name == "kdb":
        sinks = replace(sinks, kdb=replace(sinks.kdb, address=address))
    elif address:
        sinks = replace(sinks, questdb=replace(sinks.questdb, address=address))
    return replace(config, sinks=sinks)
