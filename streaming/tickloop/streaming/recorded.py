"""A day that is on disk, as operators want it: from its log where there is one, else history."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.errors import DataDirectoryError
from tickloop.core.instruments import Instruments
from tickloop.core.schema import INSTRUMENT, LOG, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.streaming.drivers.batch import groups_of
from tickloop.tickerplant.database import Database, Snapshot
from tickloop.tickerplant.inside import Insider
from tickloop.tickerplant.journal import log_path
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.recovery import LogReader
from tickloop.tickerplant.segment import Text

# Rows of one table that a group of history may have.
_GROUP_SEQS = 1 << 18


@dataclass(frozen=True, slots=True)
class Recorded:
    """A day that is being read: units and names are known as far as its groups were taken."""

    groups: Iterator[Sequence[Batch]]
    instruments: Instruments
    fractional: bool


@dataclass(frozen=True, slots=True)
class Day:
    """One session of a data directory."""

    root: Path
    session: date

    def read(self, symbols: Symbols, tables: Collection[str]) -> Recorded:
        """Read the wanted tables' rows in inside form, in groups with complete seqs.

        What `instrument` rows of earlier sessions said comes first, since units hold for ever.
        DataDirectoryError if there is no such day.
        """
        snapshot = Database(self.root).snapshot()
        catalog = snapshot.manifest.catalog
        for name in snapshot.names[len(symbols) :]:
            symbols.id(name)
        log = log_path(self.root / "journal", self.session)
        wanted = {*tables, INSTRUMENT.name}
        if log.exists():
            found = groups_of(_logged(log, catalog, symbols), wanted)
        else:
            found = _kept(snapshot, self, wanted)
        insider = Insider(symbols, Instruments())
        groups = self._inside(snapshot, found, insider, tables)
        return Recorded(groups, insider.instruments, catalog.fractional)

    def _inside(
        self, snapshot: Snapshot, groups: Iterator[Sequence[Batch]], insider: Insider,
        tables: Collection[str],
    ) -> Iterator[Sequence[Batch]]:  # fmt: skip
        if earlier := _instruments_before(snapshot, self.session):
            yield [insider.inside(batch) for batch in earlier]
        for group in groups:
            inside = [insider.inside(batch) for batch in _instruments_first(group)]
            yield [batch for batch in inside if batch.table.name in tables]


def _instruments_first(group: Sequence[Batch]) -> Sequence[Batch]:
    """Learn units before prices in them are converted."""
    return sorted(group, key=lambda batch: batch.table != INSTRUMENT)


def _instruments_before(snapshot: Snapshot, session: date) -> list[Batch]:
    parts = [
        _surface(INSTRUMENT, [part.columns])
        for part in snapshot.parts(INSTRUMENT.name)
        if part.session is not None and part.session < session
    ]
    return [batch for batch in parts if len(batch)]


def _logged(log: Path, catalog: Catalog, symbols: Symbols) -> Iterator[Batch]:
    reader = LogReader(log, catalog, symbols)
    reader.check_header()
    for found in reader.found(len(LOG_HEADER)):
        yield from reader.decoder.each(reader.bytes, found)


def _kept(snapshot: Snapshot, day: Day, tables: Collection[str]) -> Iterator[Sequence[Batch]]:
    """Yield a day of history, a span of seqs after the other."""
    names = set(tables) & set(snapshot.tables)
    whole = [
        _surface(snapshot.tables[name], [part.columns for part in parts])
        for name in sorted(names)
        if (parts := snapshot.parts(name, dates=(day.session,)))
    ]
    market = [batch for batch in whole if batch.table not in LOG and len(batch)]
    if not market:
        raise DataDirectoryError(
            f"{day.root}: no rows of {day.session} in {', '.join(sorted(names))};"
            f" `tickloop hdb info --data {day.root}` lists its dates"
        )
    first = min(int(batch.columns["seq"][0]) for batch in whole if len(batch))
    last = max(int(batch.columns["seq"][-1]) for batch in whole if len(batch))
    for start in range(first, last + 1, _GROUP_SEQS):
        group = [_between(batch, start, start + _GROUP_SEQS) for batch in whole]
        yield [batch for batch in group if len(batch)]


def _between(rows: Batch, first: int, end: int) -> Batch:
    """Give the rows of a span of seqs."""
    low, high = np.searchsorted(rows.columns["seq"], [first, end]).tolist()
    return Batch(rows.table, {name: values[low:high] for name, values in rows.columns.items()})


def _surface(table: Table, parts: Sequence[object]) -> Batch:
    """Join parts of one table in seq order; text stays behind."""
    columns = {}
    for column in table.columns:
        if column.kind is Kind.TEXT:
            continue
        values = [part[column.name] for part in parts]  # type: ignore[index]
        assert not any(isinstance(each, Text) for each in values), column.name
        columns[column.name] = np.concatenate([np.asarray(each) for each in values])
    order = np.argsort(columns["seq"], kind="stable")
    return Batch(table, {name: values[order] for name, values in columns.items()})
