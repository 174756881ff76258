"""Up to which seq the log is on disk: one word in a mapped file, for readers in other processes.

The plant stores it after every sync; an aligned word is stored and loaded whole. It may lag behind
what is on disk, and is never ahead of it.
"""

import mmap
import os
from pathlib import Path

import numpy as np

NAME = "synced"
NO_SEQ = -1


class SyncedSeq:
    """The word, mapped by its writer or by a reader."""

    def __init__(self, path: Path) -> None:
        """Map the word of a journal's folder; made if it is not there."""
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            if os.fstat(fd).st_size < 8:
                os.pwrite(fd, NO_SEQ.to_bytes(8, "little", signed=True), 0)
            self._word = np.frombuffer(mmap.mmap(fd, 8), dtype=np.int64)
        finally:
            os.close(fd)

    @property
    def value(self) -> int:
        """The last seq that is on disk."""
        return int(self._word[0])

    def put(self, seq: int) -> None:
        """Tell that every row up to `seq` is on disk."""
        self._word[0] = seq
