"""Feed specifications: `KIND:PATH` from the command line to a feed that can be run."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from tickloop.app import live_feeds
from tickloop.core.catalog import Catalog
from tickloop.core.config import Config
from tickloop.core.errors import ConfigError, FeedError
from tickloop.core.instruments import Instruments
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import CutRule, Feed, FeedContext

NEW_YORK = "America/New_York"
SYNTHETIC = "synthetic"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of feed: its defaults, and what a person has to know."""

    name: str
    example: str
    zone: str  # of the session, and of stamps that count from midnight
    fractional: bool = False
    live: bool = False  # the plant stamps with the wall clock; the feed may have no end
    growing: bool = False  # stamped already; with --stay the feed has no end


KINDS = {
    kind.name: kind
    for kind in (
        Kind(SYNTHETIC, "synthetic:2024-01-02", NEW_YORK),
        Kind("itch", "itch:12302019.NASDAQ_ITCH50.gz", NEW_YORK),
        Kind("pcap", "pcap:capture.pcap", NEW_YORK),
        Kind("lobster", "lobster:AAPL_2012-06-21_34200000_57600000_message_1.csv", NEW_YORK),
        Kind("dbn", "dbn:esh4.mbo.dbn.zst", "UTC"),
        Kind("binance", "binance:btcusdt_20240808.gz", "UTC", fractional=True),
        Kind("journal", "journal:data/2026-11-20", "UTC"),
        Kind("kafka", "kafka:127.0.0.1:9092/tickloop.", "UTC", growing=True),
        Kind("binance-live", "binance-live:btcusdt,ethusdt", "UTC", fractional=True, live=True),
        Kind("mold", "mold:127.0.0.1:26477", NEW_YORK, live=True),
        Kind("soup", "soup:127.0.0.1:4000", NEW_YORK, live=True),
        Kind("kdb", "kdb:127.0.0.1:5010/trade,quote", "UTC", live=True),
    )
}


@dataclass(frozen=True, slots=True)
class Specification:
    """A feed as it was asked for."""

    kind: Kind
    target: str
    session_date: date | None = None
    zone: str = ""
    symbol: str = ""
    cut_ms: float = 0.0
    symbols: int = 100  # synthetic only, as are the next two
    messages: int = 2_000_000
    seed: int = 1
    follows: bool = False  # a growing feed goes on when it came to its present end
    brings: live_feeds.Brings = live_feeds.NOTHING

    def __str__(self) -> str:
        return f"{self.kind.name}:{self.target}"

    @property
    def zone_in_force(self) -> str:
        """The zone that was asked for, else the kind's."""
        return self.zone or self.kind.zone

    @property
    def is_fractional(self) -> bool:
        """Tell whether sizes have parts."""
        return self.kind.fractional or self.brings.fractional


def kind_and_target(text: str) -> tuple[Kind, str]:
    """Read `KIND:TARGET`; ConfigError lists the kinds."""
    name, separator, target = text.partition(":")
    kind = KINDS.get(name)
    if kind is None or not separator or not target:
        examples = "\n  ".join(known.example for known in KINDS.values())
        raise ConfigError(f"feed {text!r} seen, KIND:PATH expected, such as\n  {examples}")
    return kind, target


_MODULES = {
    SYNTHETIC: ("synthetic",), "itch": ("itch_file",), "pcap": ("mold_pcap", "itch"),
    "lobster": ("lobster",), "dbn": ("dbn",), "binance": ("binance",),
    "binance-live": ("binance_live",), "mold": ("mold_live", "itch"),
    "soup": ("soup_feed", "itch"), "journal": ("feed",), "kafka": ("feed",), "kdb": ("feed",),
}  # fmt: skip


def load_kernels(kind: Kind) -> None:
    """Import a feed's modules, so that its kernels can be compiled before anything is opened."""
    for module in _MODULES[kind.name]:
        importlib.import_module(f"tickloop.ingest.{module}")


def identity(feed: Specification) -> str | None:
    """Name a finite feed so that the same one is recognised; None for those that go on."""
    if feed.kind.live or feed.kind.growing:
        return None
    if feed.kind.name == SYNTHETIC:
        return f"{feed} seed {feed.seed}, {feed.symbols} symbols, {feed.messages} messages"
    path = Path(feed.target) if feed.kind.name == "journal" else _file(feed.target)
    status = path.stat()
    return f"{feed.kind.name}:{path.resolve()} {status.st_size} bytes"


def _file(target: str) -> Path:
    path = Path(target).expanduser()
    if not path.is_file():
        raise FeedError(f"{target}: no such file; give --feed KIND:PATH with a file that exists")
    return path


def with_brought(feed: Specification, config: Config) -> Specification:
    """Look what a feed brings along that the configuration need not say."""
    from tickloop.tickerplant.sinks.sink import require_packages

    if feed.kind.name != "kafka":
        return feed
    require_packages("kafka")
    return replace(feed, brings=live_feeds.kafka_brings(feed.target, config))


def open_feed(
    feed: Specification, config: Config, symbols: Symbols, instruments: Instruments
) -> Feed:
    """Build a feed's handler; the kind's module is imported now."""
    cut_ms = feed.cut_ms or config.feed.cut_ms
    context = FeedContext(
        symbols=symbols, instruments=instruments, session_date=feed.session_date,
        zone=feed.zone_in_force, depth_levels=config.feed.depth_levels,
        cut=CutRule(config.feed.cut_messages, int(cut_ms * 1_000_000)), symbol=feed.symbol,
    )  # fmt: skip
    return _OPENERS[feed.kind.name](feed, config, context)


def _synthetic(feed: Specification, config: Config, context: FeedContext) -> Feed:
    from tickloop.ingest.synthetic import SyntheticDay, SyntheticFeed

    day = SyntheticDay(
        seed=feed.seed, symbols=feed.symbols, messages=feed.messages,
        session_date=date.fromisoformat(feed.target),
    )  # fmt: skip
    return SyntheticFeed(day, context)


def _itch(feed: Specification, config: Config, context: FeedContext) -> Feed:
    from tickloop.ingest.itch_file import ItchFile

    return ItchFile(_file(feed.target), context)


def _pcap(feed: Specification, config: Config, context: FeedContext) -> Feed:
    from tickloop.ingest.mold_pcap import MoldPcap

    destinations = live_feeds.destinations(config.feed.pcap_channel)
    return MoldPcap(_file(feed.target), context, destinations=destinations)


def _lobster(feed: Specification, config: Config, context: FeedContext) -> Feed:
    from tickloop.ingest.lobster import LobsterFile

    return LobsterFile(_file(feed.target), context)


def _dbn(feed: Specification, config: Config, context: FeedContext) -> Feed:
    from tickloop.ingest.dbn import DbnFile

    return DbnFile(_file(feed.target), context)


def _binance(feed: Specification, config: Config, context: FeedContext) -> Feed:
    from tickloop.ingest.binance import BinanceFile

    return BinanceFile(_file(feed.target), context)


def _binance_live(feed: Specification, config: Config, context: FeedContext) -> Feed:
    return live_feeds.binance_live(feed.target, config, context)


def _mold(feed: Specification, config: Config, context: FeedContext) -> Feed:
    return live_feeds.mold(feed.target, config, context)


def _soup(feed: Specification, config: Config, context: FeedContext) -> Feed:
    return live_feeds.soup(feed.target, config, context)


def _journal(feed: Specification, config: Config, context: FeedContext) -> Feed:
    from tickloop.tickerplant.journal_feed import JournalFeed
    from tickloop.tickerplant.manifest import read

    path = Path(feed.target)
    found = read(path if path.is_dir() else path.parent.parent)
    catalog = found.catalog if found is not None else Catalog()
    return JournalFeed(path, catalog, context.symbols, context.cut)


def _kafka(feed: Specification, config: Config, context: FeedContext) -> Feed:
    from tickloop.tickerplant.sinks.sink import require_packages

    require_packages("kafka")
    return live_feeds.kafka(feed.target, config, context, brings=feed.brings, follows=feed.follows)


def _kdb(feed: Specification, config: Config, context: FeedContext) -> Feed:
    return live_feeds.kdb(feed.target, config, context)


_OPENERS: dict[str, Callable[[Specification, Config, FeedContext], Feed]] = {
    SYNTHETIC: _synthetic,
    "itch": _itch,
    "pcap": _pcap,
    "lobster": _lobster,
    "dbn": _dbn,
    "binance": _binance,
    "binance-live": _binance_live,
    "mold": _mold,
    "soup": _soup,
    "journal": _journal,
    "kafka": _kafka,
    "kdb": _kdb,
}
