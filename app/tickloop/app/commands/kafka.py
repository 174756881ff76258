"""`tickloop kafka`: look at a plant's topics, follow them, compare them with the journal."""

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from tickloop.app.options import data_option, json_option, newest_data
from tickloop.core.clock import iso
from tickloop.core.config import KafkaSinkConfig, load

if TYPE_CHECKING:
    from tickloop.tickerplant.sinks.kafka_reader import Delivery, KafkaReader

F = TypeVar("F", bound=Callable[..., Any])


def _bus(function: F) -> F:
    with_prefix = click.option("--prefix", help="Of the topics. [tickloop.]")(function)
    return click.option(
        "--bootstrap", metavar="HOST:PORT", help="Kafka's brokers; else [sinks.kafka]."
    )(with_prefix)


def _wanted(config_path: Path | None, bootstrap: str | None, prefix: str | None) -> KafkaSinkConfig:
    wanted = load(config_path).sinks.kafka
    wanted = replace(wanted, bootstrap=bootstrap or wanted.bootstrap)
    return replace(wanted, prefix=wanted.prefix if prefix is None else prefix)


@click.group()
def kafka() -> None:
    """List, follow or verify a plant's topics."""


@kafka.command()
@_bus
@data_option
@json_option
def topics(
    bootstrap: str | None, prefix: str | None, data: Path | None, config_path: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """List the tables on the bus: partitions, messages, and how far each is told.

    \b
    Example:
      tickloop kafka topics --bootstrap 127.0.0.1:9092
    """
    from tickloop.app.sinks import bus_of
    from tickloop.tickerplant.sinks.kafka_topics import topic_summaries

    wanted = _wanted(config_path, bootstrap, prefix)
    found = topic_summaries(bus_of(wanted), wanted.prefix)
    if as_json:
        print(json.dumps([each.as_json() for each in found]))
        return
    for each in found:
        reach = f"seq {each.through}, {iso(each.last_time)}" if each.messages else "empty"
        print(
            f"{each.topic:32} {each.partitions:>3} partitions {each.messages:>12,} messages"
            f"  to {reach}"
        )


@kafka.command()
@click.argument("tables", nargs=-1)
@_bus
@data_option
@click.option("--seq", type=int, help="Begin after this seq.")
@click.option("--offset", type=int, help="Begin at this offset of every partition.")
@click.option("--time", metavar="INSTANT", help="Begin with the first row at or after this.")
@click.option("--begin", is_flag=True, help="Begin with the first message; else with new ones.")
@click.option(
    "--limit",
    default=0,
    help="Messages to print; 0 goes on until Ctrl-C. With --rows, those that have rows.",
)
@click.option("--rows", is_flag=True, help="Print rows as JSON instead of a line a message.")
def tail(
    tables: tuple[str, ...], bootstrap: str | None, prefix: str | None, data: Path | None,
    config_path: Path | None, seq: int | None, offset: int | None, time: str | None, begin: bool,
    limit: int, rows: bool,
) -> None:  # fmt: skip
    """Follow tables on the bus, message by message or row by row.

    \b
    Examples:
      tickloop kafka tail trade quote
      tickloop kafka tail trade --seq 120000 --rows --limit 3
      tickloop kafka tail trade --time 2024-01-02T14:30:00Z --rows
    """
    from tickloop.app.capture import stopping
    from tickloop.app.sinks import bus_of
    from tickloop.core.symbols import Symbols
    from tickloop.tickerplant.sinks.kafka_reader import KafkaReader
    from tickloop.tickerplant.sinks.kafka_start import END, Start, read_start

    wanted = _wanted(config_path, bootstrap, prefix)
    reader = KafkaReader(bus_of(wanted), wanted.prefix, tables=" ".join(tables), symbols=Symbols())
    start = Start(seq=seq, offset=offset)
    if time is not None:
        start = read_start(f"time={time}")
    reader.begin(END if start == Start() and not begin else start)
    left = limit or 2**62
    with stopping() as stop:
        while left > 0 and not stop.is_due:
            told = (each for each in reader.poll(0.2) if each.message.header.rows or not rows)
            for delivery in itertools.islice(told, left):
                _print(reader, delivery, as_rows=rows)
                left -= 1
    reader.close()


def _print(reader: "KafkaReader", delivery: "Delivery", *, as_rows: bool) -> None:
    from tickloop.tickerplant.sinks.json_rows import json_rows

    header = delivery.message.header
    if as_rows:
        for value in json_rows(reader.surface(delivery), list(reader.symbols)):
            print(value.decode())
        return
    print(
        f"{delivery.table}/{header.shard} offset {delivery.offset}: {header.rows} rows,"
        f" {header.clocks} clock rows, seqs {header.previous + 1} to {header.through},"
        f" {iso(header.last_time)}"
    )


@kafka.command()
@_bus
@data_option
@json_option
def verify(
    bootstrap: str | None, prefix: str | None, data: Path | None, config_path: Path | None,
    as_json: bool,
) -> int:  # fmt: skip
    """Compare topics with the journal: every seq once, every value the same.

    Rows that the topics were not told of yet are counted as waiting. Exits 1 if a row is lost,
    repeated, foreign or altered.

    \b
    Example:
      tickloop kafka verify --data day1 --bootstrap 127.0.0.1:9092
    """
    from tickloop.app.sinks import bus_of, source_of
    from tickloop.tickerplant.sinks.kafka_verify import verify as compare

    root = newest_data(data)
    wanted = _wanted(config_path, bootstrap, prefix)
    source = source_of(root, load(config_path))
    found = compare(
        bus_of(wanted), wanted.prefix, journal=root / "journal", catalog=source.catalog,
        symbols=source.symbols, plant=source.plant,
    )  # fmt: skip
    if as_json:
        print(json.dumps([each.as_json() for each in found]))
    for each in found if not as_json else ():
        state = "equal" if each.is_good else "DIFFERENT"
        print(
            f"{each.table:12} {state}: {each.journal:,} rows in the journal, {each.topic:,} in the"
            f" topic; {each.lost:,} lost, {each.repeated:,} repeated, {each.foreign:,} foreign,"
            f" {each.waiting:,} waiting"
        )
    return 0 if all(each.is_good for each in found) else 1
