"""One log file open for appending: bytes, checksums and the sidecar, with torn writes undone."""

import errno
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

from tickloop.core.errors import JournalError
from tickloop.tickerplant import sidecar
from tickloop.tickerplant.file_door import FileDoor

_GROUP_BYTES = 64 << 10


class Sync(Enum):
    """What an acknowledgement means."""

    NONE = "none"  # handed to the operating system: survives a killed process
    INTERVAL = "interval"  # as none, and on disk within the interval
    BATCH = "batch"  # on disk


class LogFile:
    """Appends messages to a log; keeps its checksums and its sidecar."""

    def __init__(
        self, door: FileDoor, path: Path, *, end: int, messages: int, indexed: int, last_seq: int,
        rebuilt: Sequence[bytes] = (), on_synced: Callable[[int], None] | None = None,
    ) -> None:  # fmt: skip
        """Open for appending at byte `end`; of the sidecar `indexed` entries are kept.

        `rebuilt` are entries for the bytes after those, as a recovery found them. `on_synced` is
        told the last seq that is on disk, after every sync and in its thread.
        """
        self._on_synced = on_synced
        self._door = door
        self.path = path
        self._fd = door.open_append(path)
        self._index_fd = door.open_append(sidecar.path_of(path))
        self._truncate_index(indexed)
        if rebuilt:
            door.write(self._index_fd, rebuilt)
        self.end = end
        self.messages = messages
        self.written_seq = last_seq
        self.synced_seq = last_seq
        self._last_time = 0
        # What was written since the last entry of the sidecar.
        self._pieces: list[bytes] = []
        self._group_start = end
        self._group_messages = 0
        self._span_crc = 0
        self._index: list[bytes] = []
        self._lock = threading.Lock()

    def _truncate_index(self, indexed: int) -> None:
        size = len(sidecar.header()) + indexed * sidecar.ENTRY.itemsize
        if indexed == 0:
            self._door.truncate(self._index_fd, 0)
            self._door.write(self._index_fd, [sidecar.header()])
        else:
            self._door.truncate(self._index_fd, size)

    def append(self, data: bytes | memoryview, *, messages: int, seq: int, time: int) -> None:
        """Append whole messages; JournalError if they cannot be written, and the file as it was."""
        raw = data if type(data) is bytes else bytes(data)
        try:
            self._door.write(self._fd, [raw])
        except OSError as error:
            self._door.truncate(self._fd, self.end)
            raise JournalError(_write_failure(self.path, len(raw), error)) from error
        self._pieces.append(raw)
        self._group_messages += messages
        self.end += len(raw)
        self.messages += messages
        self.written_seq = seq
        self._last_time = time
        if self.end - self._group_start >= _GROUP_BYTES:
            self.close_group()

    @property
    def span_crc(self) -> int:
        """CRC32C of everything between `begin_span` and the last `close_group`."""
        return self._span_crc

    def begin_span(self, crc: int = 0) -> None:
        """Start a new checksum span at the end of the file."""
        self._span_crc = crc

    def close_group(self, flags: int = 0) -> None:
        """Give what was written since the last entry an entry in the sidecar."""
        if self._pieces:
            body = b"".join(self._pieces)
            self._span_crc = sidecar.crc32c(body, self._span_crc)
            self._index.append(
                sidecar.entry(
                    offset=self._group_start, length=len(body), last_seq=self.written_seq,
                    last_time=self._last_time, messages=self._group_messages, flags=flags,
                    crc=sidecar.crc32c(body),
                )
            )  # fmt: skip
            self._pieces.clear()
            self._group_start, self._group_messages = self.end, 0
        if self._index:
            entries, self._index = self._index, []
            try:
                self._door.write(self._index_fd, entries)
            except OSError as error:
                raise JournalError(
                    _write_failure(sidecar.path_of(self.path), sum(map(len, entries)), error)
                ) from error

    def sync(self) -> None:
        """Put everything written so far on disk; may run beside appends, in another thread."""
        with self._lock:
            seq = self.written_seq
            try:
                self._door.sync(self._fd)
            except OSError as error:
                raise JournalError(
                    f"{self.path}: the disk refused to make {self.end} bytes durable ({error});"
                    " rows after seq"
                    f" {self.synced_seq} may be lost by a power failure: stop and check the disk"
                ) from error
            self.synced_seq = max(self.synced_seq, seq)
            if self._on_synced is not None:
                self._on_synced(self.synced_seq)

    def close(self) -> None:
        """Sync the log and its sidecar and let go of them."""
        self.close_group()
        self.sync()
        self._door.sync(self._index_fd)
        self._door.close(self._fd)
        self._door.close(self._index_fd)


class IntervalSyncer:
    """Syncs a log at most every interval in a thread of its own, so that appends never wait."""

    def __init__(self, log: LogFile, interval_s: float) -> None:
        self._log = log
        self._interval_s = interval_s
        self._stop = threading.Event()
        self.error: JournalError | None = None
        self._thread = threading.Thread(target=self._run, name="journal-sync", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(self._interval_s):
            if self._log.written_seq > self._log.synced_seq:
                try:
                    self._log.sync()
                except JournalError as error:
                    self.error = error
                    return

    def stop(self) -> None:
        """End the thread; what was not synced stays so."""
        self._stop.set()
        self._thread.join()


def _write_failure(path: Path, size: int, error: OSError) -> str:
    if error.errno == errno.ENOSPC:
        return (
            f"{path}: the disk is full, {size} bytes could not be written; nothing of them was"
            " acknowledged and what was acknowledged before is safe: free some space and go on"
        )
    return f"{path}: {size} bytes could not be written ({error}); nothing of them was acknowledged"
