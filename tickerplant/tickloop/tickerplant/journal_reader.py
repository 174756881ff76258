"""Read logs from a sequence on: what a subscriber missed, what today's rows are rebuilt from."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tickloop.core.batch import Batch
from tickloop.core.catalog import Catalog
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import sidecar
from tickloop.tickerplant.ahead import ahead
from tickloop.tickerplant.decode import Reused
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.layout import LOG_HEADER
from tickloop.tickerplant.recovery import LogReader
from tickloop.tickerplant.scan import Found


def seek(log: Path, seq: int) -> int:
    """Give a message boundary before which every row has a seq below `seq`."""
    entries = sidecar.load(log, first_offset=len(LOG_HEADER), log_bytes=log.stat().st_size)
    before = int(np.searchsorted(entries["last_seq"], seq, side="left"))
    if before == 0:
        return len(LOG_HEADER)
    return int(entries["offset"][before - 1] + entries["length"][before - 1])


def seek_time(log: Path, time: int) -> int:
    """Give a message boundary before which every row has a time below `time`."""
    entries = sidecar.load(log, first_offset=len(LOG_HEADER), log_bytes=log.stat().st_size)
    before = int(np.searchsorted(entries["last_time"], time, side="left"))
    if before == 0:
        return len(LOG_HEADER)
    return int(entries["offset"][before - 1] + entries["length"][before - 1])


def _last_seq(log: Path) -> int | None:
    """Give a log's last seq; None where the sidecar does not cover all of it, as after a crash."""
    size = log.stat().st_size
    entries = sidecar.load(log, first_offset=len(LOG_HEADER), log_bytes=size)
    if not len(entries) or int(entries["offset"][-1] + entries["length"][-1]) != size:
        return None
    return int(entries["last_seq"][-1])


def logs_from(directory: Path, seq: int) -> list[Path]:
    """List the logs that may hold rows with a seq of at least `seq`."""
    found = logs(directory)
    kept = found[-1:]
    for log in reversed(found[:-1]):
        last = _last_seq(log)
        if last is not None and last < seq:
            break
        kept.insert(0, log)
    return kept


def after(rows: Batch, seq: int) -> Batch | None:
    """Keep the rows past `seq`; None if there are none."""
    seqs = rows.columns["seq"]
    if not len(rows) or seqs[-1] <= seq:
        return None
    first = int(np.searchsorted(seqs, seq, side="right"))
    if first == 0:
        return rows
    return Batch(rows.table, {name: values[first:] for name, values in rows.columns.items()})


class JournalReader:
    """Reads a directory's logs in order, batch by batch, as they stood when it was made."""

    def __init__(self, directory: Path, catalog: Catalog, symbols: Symbols) -> None:
        self._directory = directory
        self._catalog = catalog
        self._symbols = symbols

    def _found(self, seq: int) -> Iterator[tuple[LogReader, Found]]:
        for log in logs_from(self._directory, seq + 1):
            reader = LogReader(log, self._catalog, self._symbols)
            if len(reader.bytes) <= len(LOG_HEADER):
                continue
            for found in reader.found(seek(log, seq + 1)):
                yield reader, found

    def messages(self, seq: int) -> Iterator[Batch]:
        """Yield the rows past `seq`, one batch a logged message, in log order."""
        for reader, found in self._found(seq):
            for rows in reader.decoder.each(reader.bytes, found):
                kept = after(rows, seq)
                if kept is not None:
                    yield kept

    def tables(self, seq: int) -> Iterator[Batch]:
        """Yield the rows past `seq` in larger batches: seq ascends within a table only.

        A batch is valid until the next one of its table. The log is scanned in another thread.
        """
        columns = Reused(self._catalog)
        for reader, found in ahead(self._found(seq)):
            for rows in reader.decoder.batches(reader.bytes, found, destination=columns):
                kept = after(rows, seq)
                if kept is not None:
                    yield kept
