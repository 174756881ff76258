"""Which feeds a data directory holds: none is taken twice, and an interrupted one goes on.

A feed is deterministic, so how many rows of each table are kept says where it stopped. A run that
ends in order writes that down. After a killed one the rows are counted, unless peers published
beside the feed: then nobody can tell whose rows they are.
"""

import json
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from tickloop.core.batch import Batch, Slice
from tickloop.core.clock import NULL_TIME, iso
from tickloop.core.errors import DataDirectoryError
from tickloop.core.interleave import interleave
from tickloop.core.schema import comes_from_feeds
from tickloop.tickerplant import hdb_info, manifest
from tickloop.tickerplant.database import Database
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.file_door import OS_DOOR

NAME = "captured.json"
_OURS = frozenset(
    {
        *("journal", "rdb", "intraday", "db", "db.staging", "cursors", "aside"),
        *(NAME, f"{NAME}.new", manifest.NAME, f"{manifest.NAME}.new"),
        *("lock", "run.json", "run.json.new", hdb_info.REFERENCE),
    }
)
_CHOICES = (
    "--append captures it once more after what is there, --fresh deletes the directory's data and"
    " begins again, another --data keeps both"
)


@dataclass(frozen=True, slots=True)
class Capture:
    """One feed in a data directory."""

    feed: str
    first_seq: int  # none of its rows has a lower one
    is_whole: bool = False
    rows: Mapping[str, int] | None = None  # kept, by table; None: count them
    has_guests: bool = False  # peers published rows while it was captured


def read(root: Path) -> list[Capture]:
    """List a directory's feeds, in the order of their capture."""
    path = root / NAME
    try:
        return [Capture(**entry) for entry in json.loads(path.read_text())]
    except (FileNotFoundError, NotADirectoryError):
        return []
    except (ValueError, TypeError) as error:
        raise DataDirectoryError(
            f"{path} is damaged ({error}); delete it to allow any feed again"
        ) from error


def write(root: Path, known: Sequence[Capture]) -> None:
    """Put the list in place, durably."""
    fresh = root / f"{NAME}.new"
    text = json.dumps([asdict(capture) for capture in known], indent=1) + "\n"
    descriptor = OS_DOOR.create(fresh)
    try:
        OS_DOOR.write(descriptor, [text.encode()])
        OS_DOOR.sync(descriptor)
    finally:
        OS_DOOR.close(descriptor)
    OS_DOOR.rename(fresh, root / NAME)
    OS_DOOR.sync_directory(root)


def prepare(root: Path, feed: str | None, *, append: bool, fresh: bool) -> None:
    """Refuse a foreign directory, and the same feed twice unless asked to append or begin again."""
    if root.is_dir() and not _is_ours(root):
        raise DataDirectoryError(
            f"{root} holds other files and is no tickloop data directory, so nothing is written or"
            " deleted there; give another --data directory"
        )
    if fresh and root.is_dir():
        _empty(root)
    if append or feed is None:
        return
    if any(known.feed == feed and known.is_whole for known in read(root)):
        raise DataDirectoryError(f"{root} already holds {feed}; {_CHOICES}")


def _is_ours(root: Path) -> bool:
    return (root / manifest.NAME).exists() or {path.name for path in root.iterdir()} <= _OURS


def _empty(root: Path) -> None:
    directory = DataDirectory(root)
    if (root / "lock").exists():
        directory.hold()
        directory.release()
    for path in root.iterdir():
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


class Kept:
    """One feed's way into one directory: leaves out what is there, and says how far it came."""

    def __init__(self, root: Path, feed: str | None, *, next_seq: int, append: bool) -> None:
        """Begin, or go on after what an interrupted run left; this process holds the directory."""
        self._root = root
        self._others = read(root) if feed is not None else []
        self._kept: Counter[str] = Counter()
        self._left: Counter[str] = Counter()
        self._last: Mapping[str, int] = {}
        self._mine: Capture | None = None
        self.resumed = 0  # rows that earlier runs kept, which do not come again
        if feed is not None:
            self._begin(feed, next_seq=next_seq, append=append)

    def turn(self, feed: str, *, next_seq: int) -> None:
        """Go over to another part of a live feed, which has an end of its own."""
        if self._mine is not None and self._mine.feed == feed:
            return
        if self._mine is not None:
            self.end(is_whole=True)
        self._others = read(self._root)
        self._kept, self._left, self._last = Counter(), Counter(), {}
        self._mine = None
        if feed:
            self._begin(feed, next_seq=next_seq, append=False)

    def settle(self) -> None:
        """Take everything from here on: the rows that were kept have all come again."""
        self._left.clear()

    def _begin(self, feed: str, *, next_seq: int, append: bool) -> None:
        interrupted = next((c for c in self._others if c.feed == feed and not c.is_whole), None)
        if interrupted is None or append:
            self._mine = Capture(feed, next_seq)
        else:
            self._others.remove(interrupted)
            self._go_on(interrupted)
        self._write()

    def _go_on(self, found: Capture) -> None:
        if found.rows is not None:
            self._kept = Counter(found.rows)
        elif found.has_guests:
            raise DataDirectoryError(
                f"{self._root}: the run that captured {found.feed} was killed, and peers had"
                f" published beside it, so where it stopped cannot be told; {_CHOICES}"
            )
        else:
            self._kept, self._last = _kept(self._root, found.first_seq)
        self._left = self._kept.copy()
        self.resumed = self._kept.total()
        # From now on there are more rows than those, so a kill leaves them to be counted.
        self._mine = replace(found, rows=None)

    def rest(self, rows: Slice) -> Slice:
        """Give the rows of a slice that are not in the directory yet."""
        if not self._left:
            return rows
        return interleave([self._rest(batch) for batch in rows.batches])

    def _rest(self, batch: Batch) -> Batch:
        table = batch.table.name
        known = min(self._left[table], len(batch))
        if not known:
            return batch
        self._left[table] -= known
        if not self._left[table]:
            del self._left[table]
            self._check(batch, known)
        return Batch(batch.table, {name: v[known:] for name, v in batch.columns.items()})

    def _check(self, batch: Batch, known: int) -> None:
        """Compare the last row that is left out with the last one that was kept."""
        table = batch.table.name
        kept, stamps = self._last.get(table, NULL_TIME), batch.columns.get("venue_time")
        if stamps is not None and kept not in (NULL_TIME, int(stamps[known - 1])):
            raise DataDirectoryError(
                f"{self._root}: row {self._kept[table]} of table {table} was kept with venue time"
                f" {iso(kept)}, the feed now has {iso(int(stamps[known - 1]))} there: it is not the"
                f" feed that was interrupted; {_CHOICES}"
            )

    def add(self, rows: Slice) -> None:
        """Count rows that the plant took."""
        for batch in rows.batches:
            self._kept[batch.table.name] += len(batch)

    def note_guests(self) -> None:
        """Write down that peers publish too."""
        if self._mine is not None and not self._mine.has_guests:
            self._mine = replace(self._mine, has_guests=True)
            self._write()

    def end(self, *, is_whole: bool) -> None:
        """Write down how far the feed came."""
        if self._mine is not None:
            rows = None if is_whole else dict(self._kept)
            self._mine = replace(self._mine, is_whole=is_whole, rows=rows)
            self._write()

    def _write(self) -> None:
        assert self._mine is not None
        write(self._root, [*self._others, self._mine])


def _kept(root: Path, first_seq: int) -> tuple[Counter[str], dict[str, int]]:
    """Count a feed's rows by table, and give the venue's stamp of each table's last one."""
    snapshot = Database(root).snapshot()
    counts: Counter[str] = Counter()
    last: dict[str, int] = {}
    for table, columns in snapshot.tables.items():
        if not comes_from_feeds(columns):
            continue
        best = -1
        for part in snapshot.parts(table, columns=("seq", "venue_time")):
            seqs = np.asarray(part.columns["seq"])
            if not len(seqs) or seqs.max() < first_seq:
                continue
            counts[table] += int(np.count_nonzero(seqs >= first_seq))
            at = int(seqs.argmax())
            if "venue_time" in part.columns and seqs[at] > best:
                best = int(seqs[at])
                last[table] = int(np.asarray(part.columns["venue_time"])[at])
    return counts, last
