"""Makes the next segment of a busy table before it is needed, so that no row waits for memory.

The system hands out a file's memory a page at a time at the first store, and zeroes it then; for
the many columns of a large segment that takes tens of milliseconds. A thread does it while the
segment before is being filled.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from tickloop.core.errors import StoreError
from tickloop.tickerplant.segment_writer import SegmentWriter


class SegmentsAhead:
    """Segments that are being made, at most one a table."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._coming: dict[str, Future[SegmentWriter]] = {}

    def begin(self, table: str, make: Callable[[], SegmentWriter]) -> None:
        """Begin to make a table's next segment, if none is being made."""
        if table in self._coming:
            return
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="segments")
        self._coming[table] = self._thread.submit(_touched, make)

    def take(self, table: str) -> SegmentWriter | None:
        """Give the segment that was made, after waiting for it; None if there is none.

        One that could not be made is none: who then makes it gets the error.
        """
        coming = self._coming.pop(table, None)
        if coming is None:
            return None
        try:
            return coming.result()
        except (OSError, StoreError):
            return None

    def close(self) -> None:
        """Remove what was made and not taken, and end the thread."""
        for table in list(self._coming):
            segment = self.take(table)
            if segment is not None:
                segment.discard()
        if self._thread is not None:
            self._thread.shutdown()


def _touched(make: Callable[[], SegmentWriter]) -> SegmentWriter:
    segment = make()
    segment.touch()
    return segment
