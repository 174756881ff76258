"""Every table once: columns with kind, clock and meaning; dialects spell them."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property


class Kind(Enum):
    """What a column holds, apart from how any system spells it."""

    INSTANT = "instant"  # nanoseconds since 2000-01-01 UTC
    SPAN = "span"  # nanoseconds
    SYMBOL = "symbol"  # int32 id inside, a name at the surface
    PRICE = "price"  # int64 in the instrument's price unit inside, float64 at the surface
    SIZE = "size"  # int64 in the instrument's size unit inside, long or float64 at the surface
    FLOAT = "float"
    REAL = "real"
    LONG = "long"
    INT = "int"
    SHORT = "short"
    BYTE = "byte"
    FLAG = "flag"
    CHAR = "char"
    GUID = "guid"
    DATE = "date"  # days since 2000-01-01
    MONTH = "month"  # months since 2000-01
    DATETIME = "datetime"  # kdb+'s float days since 2000-01-01
    MINUTE = "minute"
    SECOND = "second"
    MILLI = "milli"  # kdb+'s `time`: milliseconds since midnight
    TEXT = "text"  # any bytes; never a symbol


class Whose(Enum):
    """Whose clock stamped an instant."""

    PLANT = "plant"
    VENUE = "venue"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, kind, and what a person needs to know to use it."""

    name: str
    kind: Kind
    meaning: str = ""
    clock: Whose | None = None
    nullable: bool = True


@dataclass(frozen=True)
class Table:
    """A named list of columns: `time sym` first, `seq` last, append-only across versions."""

    name: str
    columns: tuple[Column, ...]

    def __post_init__(self) -> None:
        names = [column.name for column in self.columns]
        assert len(set(names)) == len(names), f"{self.name}: column named twice in {names}"

    def __hash__(self) -> int:
        return hash(self.name)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Column names in order."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def kinds(self) -> tuple[Kind, ...]:
        """Column kinds in order."""
        return tuple(column.kind for column in self.columns)

    @cached_property
    def is_derived(self) -> bool:
        """Tell whether operators write its rows, which a replay computes again."""
        return {column.name for column in CAUSED} <= set(self.names)

    def column(self, name: str) -> Column:
        """Find a column by name; KeyError if there is none."""
        for column in self.columns:
            if column.name == name:
                return column
        raise KeyError(f"{self.name} has no column {name!r}; it has {', '.join(self.names)}")


_TIME = Column("time", Kind.INSTANT, "when the row entered the log", Whose.PLANT, nullable=False)
_SYM = Column("sym", Kind.SYMBOL, "instrument")
_SEQ = Column("seq", Kind.LONG, "position in the plant's one order", nullable=False)
_EX = Column("ex", Kind.SYMBOL, "venue (MIC or name)")
_VENUE_TIME = Column("venue_time", Kind.INSTANT, "the venue's stamp", Whose.VENUE)
_SIDE = Column("side", Kind.CHAR, "B or S; blank if unknown")


def _table(name: str, *columns: Column) -> Table:
    return Table(name, (_TIME, _SYM, *columns, _SEQ))


TRADE = _table(
    "trade",
    Column("price", Kind.PRICE),
    Column("size", Kind.SIZE),
    Column("side", Kind.CHAR, "aggressor: B bought, S sold; blank if unknown"),
    Column("cond", Kind.SYMBOL, "venue's condition, e.g. hidden, cross, broken"),
    _EX,
    Column("trade_id", Kind.LONG, "venue's match number"),
    _VENUE_TIME,
)
QUOTE = _table(
    "quote",
    Column("bid", Kind.PRICE),
    Column("ask", Kind.PRICE),
    Column("bsize", Kind.SIZE),
    Column("asize", Kind.SIZE),
    _EX,
    _VENUE_TIME,
)
DEPTH = _table(
    "depth",
    _SIDE,
    Column("level", Kind.INT, "0 is the best price; -1 where only the price is known"),
    Column("price", Kind.PRICE),
    Column(
        "size",
        Kind.SIZE,
        "new total at the price; 0: no longer among the best levels kept",
    ),
    Column("orders", Kind.INT, "orders at the price; null where the venue does not say"),
    _EX,
    _VENUE_TIME,
)
_ACTIONS = (
    "A add, M modify, X reduce, D delete, E execute, F fill (the resting order goes by X or D),"
    " U replace, R clear"
)
BOOK = _table(
    "book",
    Column("action", Kind.CHAR, _ACTIONS),
    Column("order_id", Kind.LONG),
    _SIDE,
    Column("price", Kind.PRICE),
    Column("size", Kind.SIZE, "A, U: the order's size; X, D, E: the size taken away"),
    Column("ref_order_id", Kind.LONG, "U: the order that was replaced"),
    Column("mpid", Kind.SYMBOL, "market participant, where attributed"),
    _EX,
    _VENUE_TIME,
)
STATUS = _table(
    "status",
    Column("state", Kind.SYMBOL, "e.g. trading, halted, paused, system_open"),
    Column("reason", Kind.SYMBOL),
    _EX,
    _VENUE_TIME,
)
IMBALANCE = _table(
    "imbalance",
    Column("paired", Kind.SIZE),
    Column("imbalance", Kind.SIZE),
    _SIDE,
    Column("ref", Kind.PRICE, "current reference price"),
    Column("near", Kind.PRICE),
    Column("far", Kind.PRICE),
    Column("cross", Kind.CHAR, "O opening, C closing, H halt or IPO"),
    _EX,
    _VENUE_TIME,
)
INSTRUMENT = _table(
    "instrument",
    Column("kind", Kind.SYMBOL, "equity, future, option, spot ..."),
    Column("price_unit", Kind.INT, "power of ten of one inside price step, e.g. -4"),
    Column("size_unit", Kind.INT, "power of ten of one inside size step, e.g. 0"),
    Column("tick", Kind.FLOAT, "smallest quoted price step"),
    Column("lot", Kind.FLOAT, "round lot"),
    Column("currency", Kind.SYMBOL),
    Column("sector", Kind.SYMBOL),
    Column("underlying", Kind.SYMBOL),
    Column("expiry", Kind.DATE),
    Column("strike", Kind.FLOAT),
    Column("put_call", Kind.CHAR, "P or C; blank otherwise"),
)
# What folds wrote says who made it and from which row; (stream, cause, ordinal) is its identity.
CAUSED = (
    Column("stream", Kind.SYMBOL, "the running operator that wrote the row"),
    Column("cause_time", Kind.INSTANT, "`time` of the row that caused this one", Whose.PLANT),
    Column("cause", Kind.LONG, "`seq` of the row that caused this one"),
    Column("ordinal", Kind.LONG, "tells rows of one cause apart; ascends within it"),
)
BAR = _table(
    "bar",
    Column("interval", Kind.SPAN, "length of a bar by time; null for other bars"),
    Column("open", Kind.PRICE),
    Column("high", Kind.PRICE),
    Column("low", Kind.PRICE),
    Column("close", Kind.PRICE),
    Column("volume", Kind.SIZE),
    Column("vwap", Kind.FLOAT, "mean price weighted by size"),
    Column("count", Kind.LONG, "trades"),
    Column("start", Kind.INSTANT, "of the interval, or the first trade's `time`", Whose.PLANT),
    Column("spread", Kind.FLOAT, "mean of ask - bid weighted by time; null without a quote"),
    Column("imbalance", Kind.FLOAT, "(bought - sold) / (bought + sold), by the aggressor"),
    Column("kind", Kind.CHAR, "what ends a bar: T time, N trades, V volume, M money"),
    Column("threshold", Kind.FLOAT, "trades, shares or money that end a bar; null for time"),
    *CAUSED,
)
SIGNAL = _table(
    "signal",
    Column("name", Kind.SYMBOL, "e.g. mid, ofi, vpin, z, entry_long"),
    Column("value", Kind.FLOAT),
    *CAUSED,
)
QUALITY = _table(
    "quality",
    Column("interval", Kind.SPAN, "length of the interval that ended"),
    Column("rows", Kind.LONG, "rows of the feed in the interval"),
    Column("trades", Kind.LONG),
    Column("quotes", Kind.LONG),
    Column("rate", Kind.FLOAT, "rows a second"),
    Column("gaps", Kind.LONG, "silences longer than the stream's `gap`"),
    Column("silence", Kind.SPAN, "longest time without a row"),
    Column("symbols", Kind.LONG, "symbols that have quoted"),
    Column("stale", Kind.LONG, "of them, without a quote for longer than the stream's `stale`"),
    Column("crossed", Kind.LONG, "quotes with bid above ask"),
    Column("locked", Kind.LONG, "quotes with bid equal to ask"),
    Column("disorder", Kind.LONG, "rows whose venue_time went back"),
    Column("delay_p50", Kind.SPAN, "`time` - venue_time, at most this for half of the rows"),
    Column("delay_p99", Kind.SPAN, "at most this for 99 in 100 rows"),
    Column("delay_max", Kind.SPAN),
    *CAUSED,
)
DELAY = _table(
    "delay",
    Column("interval", Kind.SPAN, "length of the interval that ended"),
    Column("above", Kind.SPAN, "`time` - venue_time is at least this"),
    Column("below", Kind.SPAN, "and less than this"),
    Column("count", Kind.LONG, "rows of the feed"),
    *CAUSED,
)
CLOCK = _table("clock")
SYMBOL = _table("symbol", Column("id", Kind.INT, "position in the sym file", nullable=False))
CONTROL = _table(
    "control",
    Column("name", Kind.SYMBOL, "parameter or switch"),
    Column("value", Kind.FLOAT),
    Column("actor", Kind.SYMBOL, "who asked"),
)
JOURNAL = _table(
    "journal",
    Column("version", Kind.INT, "format of the log", nullable=False),
    Column("plant", Kind.LONG, "digest of the plant's name", nullable=False),
    Column("epoch", Kind.LONG, "how often the plant was opened", nullable=False),
    Column("next_seq", Kind.LONG, "seq after this row", nullable=False),
    Column("reserved", Kind.LONG, "no seq at or past this was used yet", nullable=False),
    Column("schema_digest", Kind.LONG, nullable=False),
    Column("span_start", Kind.LONG, "first byte that the checksum covers", nullable=False),
    Column("span_end", Kind.LONG, "byte after the last one that it covers", nullable=False),
    Column("span_crc", Kind.LONG, "CRC32C of the span before this row", nullable=False),
)

MARKET_DATA = (TRADE, QUOTE, DEPTH, BOOK, STATUS, IMBALANCE, INSTRUMENT)
LOG = (CLOCK, SYMBOL, CONTROL, JOURNAL)
LOG_NAMES = frozenset(table.name for table in LOG)
# Of the operators that come with Tickloop; users' operators bring their own, see `own_tables`.
DERIVED = (BAR, SIGNAL, QUALITY, DELAY)
TABLES = (*MARKET_DATA, *LOG, *DERIVED)

# The trading tables' names; their columns come with the parts that write them.
RESERVED_NAMES = frozenset(
    {
        *("news", "order", "parent", "route", "fill", "correction"),
        *("position", "limit", "risk", "tca", "latency", "alert"),
    }
)


def schema_digest(tables: Iterable[Table]) -> int:
    """Digest tables, columns and kinds to a positive 63-bit number, independent of order."""
    digest = hashlib.blake2b(digest_size=8)
    for table in sorted(tables, key=lambda table: table.name):
        columns = ",".join(f"{column.name}:{column.kind.value}" for column in table.columns)
        digest.update(f"{table.name}({columns})\n".encode())
    return int.from_bytes(digest.digest(), "little") >> 1


def comes_from_feeds(table: Table) -> bool:
    """Tell whether feeds write it: not the log itself, nor operators, who compute it again."""
    return table.name not in LOG_NAMES and not table.is_derived
