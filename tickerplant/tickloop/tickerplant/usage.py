"""Who asked what and what it cost: a table beside a database, written by those that answer.

Every writer has a folder of its own under `usage/`, so that several may serve one directory. The
oldest folders are removed when there are many.
"""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.errors import StoreError
from tickloop.core.schema import Column, Kind, Table, Whose
from tickloop.tickerplant.rdb import NO_SEQ, Rdb, RdbPart, RdbReader, cut

FOLDER = "usage"
FOLDERS_MAX = 20
USAGE = Table(
    "usage",
    (
        Column("time", Kind.INSTANT, "when the answer was ready", Whose.PLANT, nullable=False),
        Column("user", Kind.TEXT, "who asked"),
        Column("peer", Kind.TEXT, "from where"),
        Column("query", Kind.TEXT, "the first 2,000 characters"),
        Column("duration", Kind.SPAN, "until the answer was sent", nullable=False),
        Column("rows", Kind.LONG, "of the answer"),
        Column("bytes", Kind.LONG, "of the answer as it was sent"),
        Column("error", Kind.TEXT, "why there was no answer"),
        Column("seq", Kind.LONG, "position in this log", nullable=False),
    ),
)
_TEXTS = frozenset({"user", "peer", "query", "error"})


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and what became of it."""

    time: int
    user: str
    peer: str
    query: str
    duration: int
    rows: int
    bytes: int
    error: str


_values = attrgetter(*(field.name for field in fields(Asked)))


class UsageLog:
    """Writes the table; rows are seen by others at once."""

    def __init__(self, root: Path) -> None:
        folders = sorted((root / FOLDER).glob("[0-9]*"))
        for old in folders[: -FOLDERS_MAX + 1]:
            shutil.rmtree(old, ignore_errors=True)
        self._seq = 0
        self._rdb = _created(root, int(folders[-1].name) + 1 if folders else 1)

    def append(self, asked: Sequence[Asked]) -> None:
        """Keep what was asked."""
        if not asked:
            return
        columns: dict[str, Any] = {}
        for name, values in zip(USAGE.names, zip(*map(_values, asked), strict=True), strict=False):
            if name in _TEXTS:
                columns[name] = np.empty(len(asked), dtype=object)
                columns[name][:] = [text.encode(errors="surrogateescape") for text in values]
            else:
                columns[name] = np.array(values, dtype=np.int64)
        columns["seq"] = np.arange(self._seq, self._seq + len(asked), dtype=np.int64)
        self._seq += len(asked)
        self._rdb.append(Batch(USAGE, columns))
        self._rdb.publish(self._seq - 1)

    def close(self) -> None:
        """Put everything on disk."""
        self._rdb.close()


def _created(root: Path, first: int) -> Rdb:
    """Make a folder of our own; it gets its name when it is complete."""
    (root / FOLDER).mkdir(parents=True, exist_ok=True)
    number = first
    while True:
        hidden = root / FOLDER / f".{number:06d}.{os.getpid()}"
        made = Rdb(hidden, Catalog((USAGE,)))
        try:
            hidden.rename(root / FOLDER / f"{number:06d}")
        except OSError:
            shutil.rmtree(hidden)
            number += 1
            continue
        made.root = root / FOLDER / f"{number:06d}"
        return made


class UsageReader:
    """Reads what all writers of a directory have written."""

    def __init__(self, root: Path) -> None:
        self._root = str(root / FOLDER)
        self._readers: dict[str, RdbReader] = {}
        self._changed = 0  # when a folder last came or went

    @property
    def exists(self) -> bool:
        """Tell whether anybody ever wrote here."""
        return self._look() != 0

    def moment(self) -> tuple[int, ...]:
        """Give what changes whenever rows come; a few microseconds."""
        return self._look(), *[reader.published for reader in self._readers.values()]

    def _look(self) -> int:
        try:
            changed = os.stat(self._root).st_mtime_ns  # noqa: PTH116 - asked before every query
        except OSError:
            return 0
        if changed != self._changed:
            self._changed = changed
            names = sorted(path.name for path in Path(self._root).glob("[0-9]*"))
            self._readers = dict(self._opened(names))
        return changed

    def _opened(self, names: Sequence[str]) -> Iterator[tuple[str, RdbReader]]:
        for name in names:
            # A folder of which a crash of the machine left pieces holds nothing to trust.
            with suppress(StoreError, FileNotFoundError):
                yield name, self._readers.get(name) or RdbReader(Path(self._root) / name)

    def parts(self) -> Iterator[RdbPart]:
        """List the rows, oldest first."""
        self._look()
        for reader in self._readers.values():
            published = reader.published
            with suppress(FileNotFoundError):
                segments = reader.segments().get(USAGE.name, [])
                yield from cut(USAGE.name, segments, up_to_seq=published, after_seq=NO_SEQ)
