"""Moves rows into history: flushes at once, merges of ended dates beside the capture."""

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import date
from pathlib import Path

from tickloop.tickerplant import flush
from tickloop.tickerplant.file_door import OS_DOOR
from tickloop.tickerplant.manifest import Manifest
from tickloop.tickerplant.rdb import Rdb


class History:
    """The one mover of a data directory; a merge and a flush never run at the same time."""

    def __init__(self, root: Path, rdb: Rdb, adopted: Manifest) -> None:
        self._root = root
        self._rdb = rdb
        self._lock = threading.Lock()
        self._merger = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._merging: list[Future[None]] = []
        self.manifest = adopted

    def flush(self) -> None:
        """Move every row that readers see into chunks; waits for a merge that is under way."""
        watermark = self._rdb.published
        with self._lock:
            if watermark <= self.manifest.watermark:
                return
            self.manifest = flush.flush(self._root, OS_DOOR, watermark=watermark)
        self._rdb.release(watermark)

    @property
    def is_merging(self) -> bool:
        """Tell whether a date is being merged; a failed merge raises its error here."""
        for done in [merge for merge in self._merging if merge.done()]:
            self._merging.remove(done)
            done.result()
        return bool(self._merging)

    def merge_beside(self, *, before: date) -> None:
        """Merge the dates that ended before a session, while the capture goes on."""
        self._merging += [
            self._merger.submit(self._merge, session) for session in self._dates(before)
        ]

    def merge_all(self) -> Iterator[date]:
        """Merge every date; yields each when it is done."""
        while self._merging:
            self._merging.pop(0).result()
        for session in self._dates():
            self._merge(session)
            yield session

    def close(self) -> None:
        """End the thread."""
        self._merger.shutdown(wait=True)

    def _dates(self, before: date = date.max) -> list[date]:
        chunks = self.manifest.chunks
        return sorted({chunk.session for chunk in chunks if chunk.session < before})

    def _merge(self, session: date) -> None:
        with self._lock:
            self.manifest = flush.finish(self._root, OS_DOOR, session)
