"""What a run captured: for people on one screen, for programs as JSON."""

import shlex
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tickloop.core.clock import iso
from tickloop.core.schema import INSTRUMENT, LOG_NAMES
from tickloop.ingest.feed import Feed
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.journal import CutTail, logs
from tickloop.tickerplant.usage import USAGE

# Conditions that say the capture has holes, apart from those that only describe the market.
GAPS = frozenset({"gaps", "gap_messages", "depth_gap", "lost_packets"})
# Conditions of the book; crossed and locked are the market's, the rest the feed's.
BOOK = frozenset(
    {"crossed_book", "locked_book", "unknown_order", "duplicate_order", "negative_size"}
)


@dataclass(slots=True)
class Summary:
    """A run in figures."""

    feed: str
    data: Path
    seconds: float
    messages: int
    rows: dict[str, int]
    conditions: dict[str, int]
    refused: dict[str, int]
    damage: list[str]
    aside: int
    first_time: str = ""
    last_time: str = ""
    dates: list[str] = field(default_factory=list)
    journal_bytes: int = 0
    new_rows: int = 0  # this run's, the log's own included
    resumed_rows: int = 0  # of this feed, kept by an interrupted run
    recovered_rows: int = 0
    cut_tails: list[str] = field(default_factory=list)
    raised_times: int = 0  # rows that are older than what was there before them

    @property
    def is_good(self) -> bool:
        """Tell whether the feed was undamaged."""
        return not self.damage

    def as_json(self) -> dict[str, object]:
        """Give plain values."""
        return {
            "feed": self.feed, "data": str(self.data), "seconds": round(self.seconds, 3),
            "messages": self.messages, "rows": self.rows, "conditions": self.conditions,
            "refused_values": self.refused, "damage": self.damage, "kept_aside": self.aside,
            "first_time": self.first_time, "last_time": self.last_time, "dates": self.dates,
            "new_rows": self.new_rows, "resumed_rows": self.resumed_rows,
            "journal_bytes": self.journal_bytes, "recovered_rows": self.recovered_rows,
            "cut_tails": self.cut_tails, "raised_times": self.raised_times, "good": self.is_good,
        }  # fmt: skip


def summarise(
    feed: Feed, data: Path, seconds: float, *, refused: Mapping[str, int], recovered: int,
    cut_tails: list[CutTail], new_rows: int, resumed: int, raised: int,
) -> Summary:  # fmt: skip
    """Count what a data directory holds after a run."""
    snapshot = Database(data).snapshot()
    found = Summary(
        feed=feed.name, data=data, seconds=seconds, messages=feed.messages, rows={},
        conditions=dict(sorted(feed.health.counts.items())), refused=dict(refused),
        damage=[str(error) for error in feed.health.damage], aside=len(feed.health.aside),
        new_rows=new_rows, resumed_rows=resumed, recovered_rows=recovered,
        cut_tails=[str(cut) for cut in cut_tails], raised_times=raised,
    )  # fmt: skip
    times: list[int] = []
    dates: set[str] = set()
    # What was asked is no part of what was captured.
    for table in snapshot.tables.keys() - {USAGE.name}:
        parts = snapshot.parts(table, columns=("time", "seq"))
        found.rows[table] = sum(len(part) for part in parts)
        dates.update(part.session.isoformat() for part in parts if part.session)
        if table not in LOG_NAMES and table != INSTRUMENT.name:
            for part in parts:
                values = part.columns["time"]
                times += [int(values.min()), int(values.max())]  # type: ignore[union-attr]
    if times:
        found.first_time, found.last_time = iso(min(times)), iso(max(times))
    found.rows = {table: found.rows[table] for table in snapshot.tables if table in found.rows}
    found.dates = sorted(dates)
    found.journal_bytes = sum(log.stat().st_size for log in logs(data / "journal"))
    return found


def command_name() -> str:
    """Give what a person types to call this program from here."""
    name = sys.argv[0]
    if Path(name).name != "tickloop" or shutil.which("tickloop") == str(Path(name).resolve()):
        return "tickloop"
    try:
        return str(Path(name).relative_to(Path.cwd()))
    except ValueError:
        return name


def show(found: Summary, *, port: int | None = None) -> None:
    """Print the summary and three commands to try next."""
    market = {name: rows for name, rows in found.rows.items() if name not in LOG_NAMES and rows}
    seconds = max(found.seconds, 1e-9)
    print(f"\ncaptured  {found.feed}")
    print(
        f"          {found.messages:,} messages in {found.seconds:.1f} s"
        f" ({found.messages / seconds:,.0f} messages/s, {found.new_rows / seconds:,.0f} rows/s)"
    )
    if found.first_time:
        print(f"          {found.first_time} to {found.last_time} (UTC)")
    width = max([len(name) for name in market] + [10])
    rows = [f"{name:{width}} {count:>13,}" for name, count in market.items()] or ["none"]
    print("rows      " + "\n          ".join(rows))
    _show_conditions(found, has_book="quote" in market or "book" in market)
    _show_past(found)
    _show_raised(found)
    dates = f"   dates {', '.join(found.dates)}" if found.dates else ""
    print(f"journal   {_size(found.journal_bytes)}{dates}")
    print(f"data      {found.data}")
    if port:
        print(f"port      {port} (q IPC)")
    if market:
        _try_next(found, market)


def _show_conditions(found: Summary, *, has_book: bool) -> None:
    gaps = {name: n for name, n in found.conditions.items() if name in GAPS}
    book = {name: n for name, n in found.conditions.items() if name in BOOK}
    other = {n: c for n, c in found.conditions.items() if n not in gaps and n not in book}
    print(f"gaps      {_listed(gaps) or 'none'}")
    if book or has_book:
        print(f"book      {_listed(book) or 'healthy: never crossed or locked, every order known'}")
    if other:
        print(f"noticed   {_listed(other)}")
    if found.refused:
        print(f"refused   {_listed(found.refused)} (values too large to be exact became null)")
    if found.aside:
        print(f"aside     {found.aside} refused messages kept in {found.data / 'aside'}")


def _show_past(found: Summary) -> None:
    for line in found.cut_tails:
        print(f"recovered {line}")
    if found.recovered_rows:
        print(f"recovered {found.recovered_rows:,} rows from the journal of an earlier run")
    if found.resumed_rows:
        print(f"resumed   after {found.resumed_rows:,} rows of this feed that were there already")


def _show_raised(found: Summary) -> None:
    if found.raised_times:
        print(
            f"times     {found.raised_times:,} rows are older than the last one that was here, so"
            " they carry its `time`\n          (venue_time is their own); another --data keeps"
            " their times"
        )


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 100_000 else f"{count / 1e3:,.1f} kB"


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _try_next(found: Summary, market: Mapping[str, int]) -> None:
    name, data = shlex.quote(command_name()), shlex.quote(str(found.data))
    vwap = "SELECT sym, sum(price*size)/sum(size) AS vwap, sum(size) AS volume"
    bars = (
        "SELECT time_bucket(INTERVAL 1 minute, time::TIMESTAMP) AS minute, sym,"
        " arg_min(price, seq) AS open, max(price) AS high, min(price) AS low,"
        " arg_max(price, seq) AS close FROM trade GROUP BY ALL ORDER BY ALL"
    )
    asked = [f"{vwap} FROM trade GROUP BY sym ORDER BY volume DESC", bars]
    if "trade" not in market:
        fullest = max(market, key=lambda table: market[table])
        asked = [f"SELECT * FROM {fullest} LIMIT 10"]  # noqa: S608 - shown, not run
    print("\ntry next")
    for question in asked:
        print(f'  {name} sql --data {data} "{question}"')
    print(f"  {name} journal verify --data {data}")
