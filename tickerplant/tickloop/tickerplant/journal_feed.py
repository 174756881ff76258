"""A journal as a feed: its inputs as recorded, without the log's own rows and derived ones."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tickloop.core.batch import Batch, Slice
from tickloop.core.catalog import Catalog
from tickloop.core.errors import CorruptJournalError, FeedError
from tickloop.core.interleave import interleave
from tickloop.core.schema import INSTRUMENT, comes_from_feeds
from tickloop.core.symbols import Symbols
from tickloop.ingest.feed import CutRule, Health
from tickloop.tickerplant.foreign_log import is_foreign
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.recovery import LogReader
from tickloop.tickerplant.scan import ROWS, TABLE_INDEX, Found, Outcome


class JournalFeed:
    """Plays logs in order. A slice is what the plant took in at once, or what the rule cuts.

    FeedError if there is no log, or one is another tickerplant's: its rows have no seq.
    """

    venue = ""

    def __init__(self, path: Path, catalog: Catalog, symbols: Symbols, rule: CutRule) -> None:
        self.name = f"journal:{path}"
        self.health = Health()
        self.messages = 0
        self._catalog = catalog
        self._symbols = symbols
        self._rule = rule
        self._logs = [path] if path.is_file() else logs(path / "journal") or logs(path)
        if not self._logs:
            raise FeedError(f"{path}: no journal there; name a .log file or a data directory")
        for log in filter(is_foreign, self._logs):
            raise FeedError(
                f"{log}: another tickerplant's log seen, one of tickloop's own expected;"
                f" `tickloop journal inspect {log}` counts what is in it"
            )

    def slices(self) -> Iterator[Slice]:
        """Yield rows of every log; damage ends a log and is told in `health`."""
        for log in self._logs:
            reader = LogReader(log, self._catalog, self._symbols)
            try:
                reader.check_header()
            except CorruptJournalError as error:
                self.health.damage.append(FeedError(str(error)))
                continue
            for found in reader.found(len(LOG_HEADER)):
                yield from self._play(reader, found)
                if found.outcome is not Outcome.END:
                    self._note_damage(log, found, len(reader.bytes))

    def _note_damage(self, log: Path, found: Found, size: int) -> None:
        kind = "a torn message" if found.outcome is Outcome.TORN else "bytes that are no message"
        self.health.damage.append(
            FeedError(
                f"{log}: byte {found.stopped}: {kind} seen, a message expected; the"
                f" {size - found.stopped} bytes from there were left out:"
                f" `tickloop journal repair {log}` keeps what is good after it"
            )
        )

    def _play(self, reader: LogReader, found: Found) -> Iterator[Slice]:
        """Group messages up to the rule's count, whole groups only: seqs of one interleave."""
        held: list[Batch] = []
        rows = 0
        last = -1
        tables = reader.scanner.tables()
        for index, batch in enumerate(reader.decoder.each(reader.bytes, found)):
            table = tables[int(found.messages[index, TABLE_INDEX])]
            first = int(batch.columns["seq"][0])
            if held and rows >= self._rule.messages and first > last:
                yield self._slice(held)
                held, rows = [], 0
            last = max(last, int(batch.columns["seq"][-1]))
            self.messages += 1
            # Derived rows name causes by seqs of that log; streams compute them again.
            if comes_from_feeds(table):
                held.append(batch)
                rows += int(found.messages[index, ROWS])
        if held:
            yield self._slice(held)

    def _slice(self, held: list[Batch]) -> Slice:
        by_table: dict[str, list[Batch]] = {}
        for batch in held:
            by_table.setdefault(batch.table.name, []).append(batch)
        return interleave([_joined(batches) for batches in by_table.values()])


def _joined(batches: list[Batch]) -> Batch:
    table = batches[0].table
    columns = {
        name: np.concatenate([batch.columns[name] for batch in batches]) for name in table.names
    }
    columns["_place"] = columns.pop("seq")
    if table is INSTRUMENT:
        columns["size_unit"] = columns["size_unit"].astype(np.int64)
    return Batch(table, columns)
