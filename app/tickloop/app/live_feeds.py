"""Live feeds: sockets, WebSockets and Kafka, with every bound taken from the configuration."""

import os
from dataclasses import dataclass, replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

from tickloop.core.catalog import Catalog
from tickloop.core.clock import WallClock, date_of
from tickloop.core.config import Config
from tickloop.core.errors import ConfigError
from tickloop.core.schema import Table
from tickloop.ingest.feed import Feed, FeedContext, Health

if TYPE_CHECKING:
    from tickloop.tickerplant.sinks.kafka_client import Bus

_VENUE = "XNAS"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Brings:
    """What a feed says of its rows, so that the configuration need not."""

    tables: tuple[Table, ...] = ()  # that are not known here
    fractional: bool = False  # sizes have parts


NOTHING = Brings()


def address(text: str) -> tuple[str, int]:
    """Read `HOST:PORT`; ConfigError otherwise."""
    host, separator, port = text.rpartition(":")
    if not separator or not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ConfigError(f"address {text!r} seen, HOST:PORT such as 127.0.0.1:26477 expected")
    return host, int(port)


def destinations(text: str) -> frozenset[int]:
    """Read `HOST:PORT[,HOST:PORT]` as a capture has them, address << 16 | port; empty for none."""
    found = set()
    for host, port in map(address, filter(None, text.split(","))):
        try:
            found.add(int(IPv4Address(host)) << 16 | port)
        except ValueError as error:
            raise ConfigError(
                f"address {host!r} seen, an IPv4 address such as 233.54.12.111 expected; check"
                " [feed] pcap_channel"
            ) from error
    return frozenset(found)


def binance_live(target: str, config: Config, context: FeedContext) -> Feed:
    """Open the spot streams of comma-separated pairs; records them if configured."""
    from tickloop.ingest.binance_live import BinanceLive, spot_config

    wanted = config.feed
    live = spot_config(
        ",".join(name.strip() for name in target.split(",")),
        stream_url=wanted.binance_stream, rest_url=wanted.binance_rest,
        record=Path(wanted.record) if wanted.record else None,
    )  # fmt: skip
    return BinanceLive(replace(live, attempts=wanted.live_attempts), context)


def mold(target: str, config: Config, context: FeedContext) -> Feed:
    """Join MoldUDP64 lines `HOST:PORT[,HOST:PORT]` that carry ITCH."""
    from tickloop.ingest.itch import ItchDecoder
    from tickloop.ingest.mold_live import Line, MoldLive, MoldLiveConfig

    wanted = config.feed
    lines = tuple(
        Line(host, port, wanted.mold_interface) for host, port in map(address, target.split(","))
    )
    live = MoldLiveConfig(
        lines=lines, rewinder=address(wanted.mold_rewinder) if wanted.mold_rewinder else None,
        patience_ns=20_000_000, retry_ns=100_000_000, retries=wanted.live_attempts,
        request_messages=1000, receive_buffer_bytes=8 * _MIB,
    )  # fmt: skip
    health = Health()
    decoder = ItchDecoder(_dated(context), health, venue=_VENUE)
    return MoldLive(live, decoder=decoder, health=health, venue=_VENUE)


def soup(target: str, config: Config, context: FeedContext) -> Feed:
    """Log into a SoupBinTCP server `HOST:PORT` that carries ITCH."""
    from tickloop.ingest.itch import ItchDecoder
    from tickloop.ingest.soup_feed import SoupConfig, SoupFeed
    from tickloop.ingest.soupbintcp import Login

    wanted = config.feed
    if not wanted.soup_user:
        raise ConfigError(
            "a SoupBinTCP feed needs a login: set [feed] soup_user and soup_password_file"
        )
    host, port = address(target)
    password = secret(wanted.soup_password_file, "[feed] soup_password_file")
    live = SoupConfig(
        host=host, port=port, login=Login(wanted.soup_user, password),
        connect_timeout_s=5.0, retries=wanted.live_attempts, backoff_ns=500_000_000,
        backoff_max_ns=30_000_000_000,
    )  # fmt: skip
    health = Health()
    decoder = ItchDecoder(_dated(context), health, venue=_VENUE)
    return SoupFeed(live, decoder=decoder, health=health, venue=_VENUE)


def kafka_brings(target: str, config: Config) -> Brings:
    """Look which tables a plant's topics have that this machine's configuration lacks."""
    from tickloop.app.catalogs import catalog_of
    from tickloop.core.symbols import Symbols
    from tickloop.tickerplant.sinks.kafka_reader import KafkaReader

    bus, prefix = _topics(target, config)
    own = catalog_of(config, fractional=False)
    reader = KafkaReader(
        bus, prefix, tables=config.feed.kafka_tables, without=_computed(own, config),
        symbols=Symbols(),
    )  # fmt: skip
    reader.close()
    sent = reader.tables.values()
    new = tuple(each.table for each in sent if each.table.name not in own)
    return Brings(new, any(each.fractional for each in sent))


def kafka(
    target: str, config: Config, context: FeedContext, *, brings: Brings, follows: bool
) -> Feed:
    """Follow the plant behind topics, `HOST:PORT[,HOST:PORT]/PREFIX`.

    What streams of this machine compute is computed here, not taken from the topics.
    """
    from tickloop.app.catalogs import catalog_of
    from tickloop.tickerplant.sinks.kafka_feed import Following, KafkaFeed
    from tickloop.tickerplant.sinks.kafka_start import read_start

    bus, prefix = _topics(target, config)
    own = catalog_of(config, fractional=False)
    catalog = catalog_of(config, fractional=brings.fractional, brought=brings.tables)
    wanted = Following(
        start=read_start(config.feed.kafka_start), tables=config.feed.kafka_tables,
        without=_computed(own, config), rows=context.cut.messages, follows=follows,
    )  # fmt: skip
    return KafkaFeed(bus, prefix, catalog, context.symbols, context.instruments, wanted)


def _topics(target: str, config: Config) -> "tuple[Bus, str]":
    from tickloop.tickerplant.sinks.kafka_client import Bus

    brokers, _, prefix = target.partition("/")
    for each in brokers.split(","):
        address(each)
    return Bus(brokers, config.sinks.kafka.properties), prefix or config.sinks.kafka.prefix


def _computed(own: Catalog, config: Config) -> list[str]:
    """Name the tables that streams of this machine write."""
    return [table.name for table in own if table.is_derived] if config.stream else []


def kdb(target: str, config: Config, context: FeedContext) -> Feed:
    """Subscribe to a kdb+ tickerplant `HOST:PORT[/TABLE[,TABLE]]`."""
    from tickloop.app.catalogs import catalog_of
    from tickloop.tickerplant.tick_feed import TickConfig, TickFeed
    from tickloop.tickerplant.tick_rows import TickRows

    wanted = config.feed
    where, _, tables = target.partition("/")
    host, port = address(where)
    tick = TickConfig(
        host=host, port=port, user=wanted.kdb_user,
        password=secret(wanted.kdb_password_file, "[feed] kdb_password_file"), timeout_s=10.0,
        attempts=wanted.live_attempts, log_folder=wanted.kdb_log_folder,
    )  # fmt: skip
    catalog = catalog_of(config, fractional=config.store.fractional)
    names = [name.strip() for name in tables.split(",") if name.strip()]
    return TickFeed(tick, TickRows(catalog, context.symbols, wanted.kdb_names, names))


def secret(path: str, where: str) -> str:
    """Read a password from a file that the configuration names, or `env:NAME`; empty without."""
    if not path:
        return ""
    if path.startswith("env:"):
        name = path.removeprefix("env:")
        if name not in os.environ:
            raise ConfigError(f"{path}: the environment has no {name}; check {where}")
        return os.environ[name]
    try:
        return Path(path).read_text().strip()
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check {where}") from error


def _dated(context: FeedContext) -> FeedContext:
    """Give live ITCH, whose stamps carry no date, today's date in the session's zone."""
    if context.session_date is not None:
        return context
    return replace(context, session_date=date_of(WallClock().now(), zone=context.zone))
