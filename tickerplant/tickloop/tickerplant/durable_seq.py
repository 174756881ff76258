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

    def synced(self) -> int:
        """Give the seq up to which the plant that writes here has synced."""
        return self._word.value

    def rested(self) -> int | None:
        """Give the last seq of a directory that nobody writes to; None while a plant does.

        A plant that begins while its log is looked at is found out afterwards: what was seen of
        it then may be half a publication.
        """
        if self._directory.is_held():
            return None
        found = logs(self._directory.journal)[-1:]
        sizes = [log.stat().st_size for log in found]
        seq = max([self._word.value, *map(self._recovered, found)])
        is_still = [log.stat().st_size for log in found] == sizes
        return seq if is_still and not self._directory.is_held() else None

    def _recovered(self, log: Path) -> int:
        fd = os.open(log, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fdatasync(fd)
        finally:
            os.close(fd)
        return recover(log, self._catalog).last_seq
