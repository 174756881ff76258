"""What a run captured: for people on one screen, for programs as JSON."""

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tickloop.core.clock import iso
from tickloop.core.schema import INSTRUMENT, LOG
from tickloop.ingest.feed import Feed
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.journal import CutTail, logs

# Conditions that say the capture has holes, apart from those that only describe the market.
GAPS = frozenset({"gap_messages", "depth_gap", "lost_packets"})
# Conditions of the book; crossed and locked are the market's, the rest the feed's.
BOOK = frozenset(
    {"crossed_book", "locked_book", "unknown_order", "duplicate_order", "negative_size"}
)
_LOG_NAMES = frozenset(table.name for table in LOG)


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
    recovered_rows: int = 0
    cut_tails: list[str] = field(default_factory=list)

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
            "journal_bytes": self.journal_bytes, "recovered_rows": self.recovered_rows,
            "cut_tails": self.cut_tails, "good": self.is_good,
        }  # fmt: skip


def summarise(
    feed: Feed, data: Path, seconds: float, *, refused: Mapping[str, int], recovered: int,
    cut_tails: list[CutTail],
) -> Summary:  # fmt: skip
    """Count what a data directory holds after a run."""
    snapshot = Database(data).snapshot()
    found = Summary(
        feed=feed.name, data=data, seconds=seconds, messages=feed.messages, rows={},
        conditions=dict(sorted(feed.health.counts.items())), refused=dict(refused),
        damage=[str(error) for error in feed.health.damage], aside=len(feed.health.aside),
        recovered_rows=recovered, cut_tails=[str(cut) for cut in cut_tails],
    )  # fmt: skip
    times: list[int] = []
    dates: set[str] = set()
    for table in snapshot.tables:
        parts = snapshot.parts(table, columns=("time", "seq"))
        found.rows[table] = sum(len(part) for part in parts)
        dates.update(part.session.isoformat() for part in parts if part.session)
        if table not in _LOG_NAMES and table != INSTRUMENT.name:
            for part in parts:
                values = part.columns["time"]
                times += [int(values.min()), int(values.max())]  # type: ignore[union-attr]
    if times:
        found.first_time, found.last_time = iso(min(times)), iso(max(times))
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
    market = {name: rows for name, rows in found.rows.items() if name not in _LOG_NAMES and rows}
    rate = found.messages / found.seconds if found.seconds else 0.0
    print(f"\ncaptured  {found.feed}")
    print(
        f"          {found.messages:,} messages in {found.seconds:.1f} s ({rate:,.0f} messages/s,"
        f" {sum(found.rows.values()) / max(found.seconds, 1e-9):,.0f} rows/s)"
    )
    if found.first_time:
        print(f"          {found.first_time} to {found.last_time} (UTC)")
    width = max([len(name) for name in market] + [10])
    print("rows      " + "\n          ".join(f"{n:{width}} {r:>13,}" for n, r in market.items()))
    gaps = {name: n for name, n in found.conditions.items() if name in GAPS}
    book = {name: n for name, n in found.conditions.items() if name in BOOK}
    other = {n: c for n, c in found.conditions.items() if n not in gaps and n not in book}
    print(f"gaps      {_listed(gaps) or 'none'}")
    print(f"book      {_listed(book) or 'healthy: never crossed or locked, every order known'}")
    if other:
        print(f"noticed   {_listed(other)}")
    if found.refused:
        print(f"refused   {_listed(found.refused)} (values too large to be exact became null)")
    if found.aside:
        print(f"aside     {found.aside} refused messages kept in {found.data / 'aside'}")
    for line in found.cut_tails:
        print(f"recovered {line}")
    if found.recovered_rows:
        print(f"recovered {found.recovered_rows:,} rows from the journal of an earlier run")
    print(f"journal   {found.journal_bytes / 1e6:,.1f} MB   dates {', '.join(found.dates)}")
    print(f"data      {found.data}")
    if port:
        print(f"port      {port} (q IPC, loopback)")
    _try_next(found)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _try_next(found: Summary) -> None:
    name, data = command_name(), found.data
    vwap = "SELECT sym, sum(price*size)/sum(size) AS vwap, sum(size) AS volume"
    bars = (
        "SELECT time_bucket(INTERVAL 1 minute, time::TIMESTAMP) AS minute, sym,"
        " arg_min(price, seq) AS open, max(price) AS high, min(price) AS low,"
        " arg_max(price, seq) AS close FROM trade GROUP BY ALL ORDER BY ALL"
    )
    print("\ntry next")
    print(f'  {name} sql --data {data} "{vwap} FROM trade GROUP BY sym ORDER BY volume DESC"')
    print(f'  {name} sql --data {data} "{bars}"')
    print(f"  {name} journal verify --data {data}")
