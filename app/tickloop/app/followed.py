"""How far a plant on Kafka is followed into a data directory: kill -9 loses and repeats nothing.

The cursor is a pair of seqs, the other plant's and this one's: what that plant had up to the one
is what is in this log up to the other. It is written after those rows are on disk, so it may lag:
the rows that the log holds past it are counted by table, and left out when they come again.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from tickloop.app.plant_run import PlantRun
from tickloop.core.batch import Batch, Slice
from tickloop.core.clock import monotonic_ns
from tickloop.core.errors import DataDirectoryError
from tickloop.core.interleave import interleave
from tickloop.tickerplant import manifest
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.journal_reader import JournalReader
from tickloop.tickerplant.sinks.cursor import Cursor, CursorFile
from tickloop.tickerplant.sinks.kafka_feed import KafkaFeed
from tickloop.tickerplant.sinks.kafka_start import Start
from tickloop.tickerplant.torn_publication import cut_torn_publication

NAME = "feed"
_OWN = "own"  # the cursor's stream that holds this plant's seq
_WRITE_NS = 200_000_000


def clear_the_way(root: Path) -> None:
    """Take from a directory that follows a plant what a kill left of a publication.

    The plant has those rows still, and they come again.
    """
    found = manifest.read(root) if CursorFile(root, NAME).path.exists() else None
    if found is None:
        return
    directory = DataDirectory(root)
    directory.hold()
    try:
        cut_torn_publication(directory.journal, found.catalog, OS_DOOR)
    finally:
        directory.release()


class Followed:
    """One plant's way from Kafka into one directory."""

    def __init__(self, root: Path, feed: KafkaFeed, run: PlantRun, *, append: bool) -> None:
        """Go to where an earlier run stopped; this process holds the directory.

        DataDirectoryError if the directory follows another plant.
        """
        self._feed = feed
        self._journal = run.plant.journal
        self._file = CursorFile(root, NAME)
        self._left: Counter[str] = Counter()
        self._waiting: Cursor | None = None
        self._written_ns = 0
        self.resumed = 0
        # A table has one writer: rows of peers could not be told apart.
        run.closed_tables = feed.tables
        found = None if append else self._file.peek()
        if found is None:
            own = {_OWN: self._journal.next_seq - 1}
            self._cursor = Cursor(NAME, feed.prefix, feed.plant, streams=own, state="running")
            self._file.write(self._cursor)
        else:
            self._cursor = found
            self._go_on(root, run)
        self._rows = self.resumed

    def _go_on(self, root: Path, run: PlantRun) -> None:
        found, feed = self._cursor, self._feed
        if (found.target, found.plant) != (feed.prefix, feed.plant):
            raise DataDirectoryError(
                f"{root} follows plant {found.plant:x} under {found.target!r}, {feed.name} has"
                f" plant {feed.plant:x} under {feed.prefix!r}: one plant a directory; give another"
                " --data, or --append to begin with the other one's first row"
            )
        reader = JournalReader(run.directory.journal, run.plant.catalog, run.symbols)
        for rows in reader.tables(found.streams[_OWN]):
            if rows.table.name in feed.tables:
                self._left[rows.table.name] += len(rows)
        self.resumed = found.rows + self._left.total()
        if found.rows:
            feed.begin(Start(seq=found.seq))

    def rest(self, rows: Slice) -> Slice:
        """Give the rows of a slice that are not in the directory yet."""
        if not self._left:
            return rows
        return interleave([self._rest(batch) for batch in rows.batches])

    def _rest(self, batch: Batch) -> Batch:
        known = min(self._left[batch.table.name], len(batch))
        self._left -= Counter({batch.table.name: known})  # drops tables of which nothing is left
        return Batch(batch.table, {name: v[known:] for name, v in batch.columns.items()})

    def add(self, rows: Slice) -> None:
        """Note how far the plant took rows; it is written down once that is on disk."""
        self._rows += rows.rows
        now = monotonic_ns()
        if self._left or now - self._written_ns < _WRITE_NS:
            return
        waiting, self._waiting = self._waiting, self._waiting or self._here()
        if waiting is not None and waiting.streams[_OWN] <= self._journal.synced_seq:
            self._file.write(waiting)
            self._written_ns, self._waiting = now, None

    def _here(self) -> Cursor:
        own = {_OWN: self._journal.next_seq - 1}
        return replace(self._cursor, seq=self._feed.through, rows=self._rows, streams=own)

    def note_guests(self) -> None:
        """Rows of peers are in other tables, and do not matter here."""

    def turn(self, feed: str, *, next_seq: int) -> None:
        """Topics have no parts: a position holds for all of them."""

    def settle(self) -> None:
        """Rows do not come again: what is left out is known by its seq."""

    def end(self, *, is_whole: bool) -> None:
        """Write down how far it came; topics grow, so the next run goes on from there."""
        if self._left or not self._journal.is_open:
            return
        self._journal.log.sync()
        self._file.write(replace(self._here(), state="done" if is_whole else "running"))
