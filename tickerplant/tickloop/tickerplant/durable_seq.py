"""Up to which seq rows may leave the plant: what is on disk, whatever happens next."""

import os
from pathlib import Path

from tickloop.core.catalog import Catalog
from tickloop.tickerplant.directory import DataDirectory
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.recovery import recover
from tickloop.tickerplant.synced_seq import NAME, SyncedSeq


class DurableSeq:
    """Up to which seq rows may be given to others: what the plant synced, or what a dead one left.

    While a plant holds the directory, that is the word it stores. Of a directory at rest it is
    what the plant's own recovery would keep, once this process has put it on disk.
    """

    def __init__(self, directory: DataDirectory, catalog: Catalog) -> None:
        self._directory = directory
        self._catalog = catalog
        self._word = SyncedSeq(directory.journal / NAME)

    @property
    def is_at_rest(self) -> bool:
        """Tell whether no plant writes here."""
        return not self._directory.is_held()

    def synced(self) -> int:
        """Give the seq up to which the plant that writes here has synced."""
        return self._word.value

    def rested(self) -> int:
        """Give the last seq of a directory that nobody writes to."""
        found = logs(self._directory.journal)
        return max([self._word.value, *(self._recovered(log) for log in found[-1:])])

    def _recovered(self, log: Path) -> int:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return recover(log, self._catalog).last_seq
