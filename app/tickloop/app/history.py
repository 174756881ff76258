"""Moves rows into history: beside the capture, in a thread of its own, or at once."""

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
    """The one mover of a data directory; a merge and a flush never run at the same time.

    Everything here is called from the plant's thread.
    """

    def __init__(self, root: Path, rdb: Rdb, adopted: Manifest) -> None:
        self._root = root
        self._rdb = rdb
        self._lock = threading.Lock()
        self._mover = ThreadPoolExecutor(1, thread_name_prefix="history")
        self._moving: list[Future[int]] = []
        self.manifest = adopted

    def flush(self) -> None:
        """Move every row that readers see into chunks; waits for moves that are under way."""
        self._wait()
        self._rdb.release(self._flush(self._rdb.published))

    def flush_beside(self) -> None:
        """Move every row that readers see into chunks, while the capture goes on."""
        self._moving.append(self._mover.submit(self._flush, self._rdb.published))

    @property
    def is_moving(self) -> bool:
        """Tell whether a move is under way; one that failed raises its error here."""
        while self._moving and self._moving[0].done():
            self._finished(self._moving.pop(0))
        return bool(self._moving)

    def merge_beside(self, *, before: date) -> None:
        """Merge the dates that ended before a session, while the capture goes on."""
        self._moving += [
            self._mover.submit(self._merge, session) for session in self._dates(before)
        ]

    def merge_all(self) -> Iterator[date]:
        """Merge every date; yields each when it is done."""
        self._wait()
        for session in self._dates():
            self._merge(session)
            yield session

    def close(self) -> None:
        """End the thread."""
        self._mover.shutdown(wait=True)

    def _dates(self, before: date = date.max) -> list[date]:
        chunks = self.manifest.chunks
        return sorted({chunk.session for chunk in chunks if chunk.session < before})

    def _wait(self) -> None:
        while self._moving:
            self._finished(self._moving.pop(0))

    def _finished(self, move: Future[int]) -> None:
        # Segments are let go of in the plant's thread, which appends to them.
        self._rdb.release(move.result())

    def _flush(self, watermark: int) -> int:
        with self._lock:
            if watermark > self.manifest.watermark:
                self.manifest = flush.flush(self._root, OS_DOOR, watermark=watermark)
            return self.manifest.watermark

    def _merge(self, session: date) -> int:
        with self._lock:
            self.manifest = flush.finish(self._root, OS_DOOR, session)
            return self.manifest.watermark
