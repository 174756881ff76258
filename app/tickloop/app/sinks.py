"""Sinks as they are configured: each over one data directory, in a process of its own."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tickloop.app.live_feeds import address, secret
from tickloop.core.catalog import Catalog
from tickloop.core.config import Config, KafkaSinkConfig
from tickloop.core.errors import ConfigError, DataDirectoryError
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import manifest
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.journal import plant_id
from tickloop.tickerplant.kdb_names import read_names
from tickloop.tickerplant.sinks.kafka_client import Bus
from tickloop.tickerplant.sinks.loop import LoopSettings, SinkLoop
from tickloop.tickerplant.sinks.sink import Sink, require_packages

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Source:
    """A data directory as a sink reads it."""

    root: Path
    catalog: Catalog
    symbols: Symbols
    plant: int


def source_of(root: Path, config: Config) -> Source:
    """Open a data directory for reading its log."""
    found = manifest.read(root)
    if found is None:
        raise DataDirectoryError(f"{root} holds no capture; `tickloop run --data {root}` makes one")
    sym = DataDirectory(root).sym
    names = read_names(sym) if sym.exists() else ()
    return Source(root, found.catalog, Symbols(names), plant_id(config.plant.name))


def wanted_sinks(config: Config) -> list[str]:
    """List the sinks that are switched on; ConfigError if the plant's settings rule them out."""
    sinks = config.sinks
    on = {
        "kafka": sinks.kafka.bootstrap, "questdb": sinks.questdb.address, "kdb": sinks.kdb.address,
    }  # fmt: skip
    found = [name for name, where in on.items() if where]
    if found and config.plant.sync == "none":
        raise ConfigError(
            f'[plant] sync = "none" seen, "interval" or "batch" expected with [sinks.{found[0]}]:'
            " a sink is given only what is on disk, which with none is nothing before the end"
        )
    for name in found:
        require_packages(name)
    return found


def bus_of(config: KafkaSinkConfig) -> Bus:
    """Give the brokers; ConfigError if none are configured."""
    if not config.bootstrap:
        raise ConfigError(
            "no brokers: set [sinks.kafka] bootstrap, or give --bootstrap HOST:PORT;"
            " `tickloop up kafka` starts one"
        )
    require_packages("kafka")
    return Bus(config.bootstrap, config.properties)


def run_sink(name: str, root: Path, config: Config, stop: Callable[[], bool]) -> bool:
    """Follow a data directory into a sink; tell whether everything got there."""
    return sink_loop(name, root, config).run(stop)


def sink_loop(name: str, root: Path, config: Config) -> SinkLoop:
    """Make what follows a data directory into a sink."""
    source = source_of(root, config)
    make = {"kafka": _kafka, "questdb": _questdb, "kdb": _kdb}[name]
    sink, drain_s = make(source, config)
    return SinkLoop(sink, root, source.catalog, source.symbols, source.plant, LoopSettings(drain_s))


def _kafka(source: Source, config: Config) -> tuple[Sink, float]:
    from tickloop.tickerplant.sinks.kafka_sink import KafkaSettings, KafkaSink

    wanted = config.sinks.kafka
    settings = KafkaSettings(
        bus=bus_of(wanted), prefix=wanted.prefix, shards=wanted.shards, tables=wanted.tables,
        json_tables=wanted.json, rows_max=wanted.rows, compression=wanted.compression,
        queue_mib=wanted.queue_mib, linger_ms=wanted.linger_ms, progress_ms=wanted.progress_ms,
        replication=wanted.replication, ledgers=wanted.ledgers, arrow_tables=wanted.arrow,
    )  # fmt: skip
    return KafkaSink(settings, source.catalog, source.symbols, source.plant), wanted.drain_s


def _questdb(source: Source, config: Config) -> tuple[Sink, float]:
    from tickloop.tickerplant.sinks.questdb_rest import QuestDb
    from tickloop.tickerplant.sinks.questdb_sink import QuestDbSettings, QuestDbSink

    wanted = config.sinks.questdb
    if not wanted.address:
        raise ConfigError(
            "no server: set [sinks.questdb] address, or give --address HOST:PORT;"
            " `tickloop up questdb` starts one"
        )
    require_packages("questdb")
    server = QuestDb(wanted.address, wanted.user, secret(wanted.password_file, "[sinks.questdb]"))
    settings = QuestDbSettings(server, wanted.tables, wanted.rows, _TIMEOUT_S)
    return QuestDbSink(settings, source.catalog, source.symbols), wanted.drain_s


def _kdb(source: Source, config: Config) -> tuple[Sink, float]:
    from tickloop.tickerplant.sinks.kdb_sink import KdbSettings, KdbSink
    from tickloop.tickerplant.sinks.kdb_target import Matching

    wanted = config.sinks.kdb
    if not wanted.address:
        raise ConfigError("no tickerplant: set [sinks.kdb] address, or give --address HOST:PORT")
    host, port = address(wanted.address)
    settings = KdbSettings(
        host=host, port=port, user=wanted.user,
        password=secret(wanted.password_file, "[sinks.kdb]"),
        matching=Matching(wanted.names, wanted.tables, stamped=wanted.stamp == "theirs"),
        rows_max=wanted.rows, messages_max=wanted.messages, asynchronous=wanted.send == "async",
        timeout_s=_TIMEOUT_S,
    )  # fmt: skip
    return KdbSink(settings, source.catalog, source.symbols), wanted.drain_s
