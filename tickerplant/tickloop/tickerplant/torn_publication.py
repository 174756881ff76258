"""Cut what a killed plant wrote of its last publication: some tables' rows, without the others'.

It was acknowledged to nobody. A plant that gets the same rows again from elsewhere would have to
give the missing ones a later time than their own, because rows that follow them are there.
"""

from pathlib import Path

import numpy as np

from tickloop.core.catalog import Catalog
from tickloop.tickerplant.file_door import FileDoor
from tickloop.tickerplant.journal import logs
from tickloop.tickerplant.recovery import LogReader, message_bounds, recover
from tickloop.tickerplant.scan import END, ROWS, TABLE_INDEX

_LAST = 1


def cut_torn_publication(journal: Path, catalog: Catalog, door: FileDoor) -> int:
    """Truncate the last log after its last whole publication; give how many rows that took.

    Nobody may hold the directory. What is no torn publication, such as a hole that a repair left,
    stays as it is.
    """
    found = logs(journal)
    if not found:
        return 0
    recovered = recover(found[-1], catalog)
    if recovered.journal_row is None or recovered.end == recovered.journal_row.end:
        return 0
    reader = LogReader(found[-1], catalog)
    scanned = list(reader.found(recovered.journal_row.start, recovered.end))
    messages = np.concatenate([each.messages for each in scanned])
    highest = np.maximum.accumulate(message_bounds(reader.bytes, messages)[:, _LAST])
    # Seqs follow one another: as many rows as seqs since the journal row, and none is missing.
    before = recovered.journal_row.next_seq - 2
    whole = np.flatnonzero(np.cumsum(messages[:, ROWS]) == highest - before)
    if not len(whole) or int(whole[-1]) == len(messages) - 1:
        return 0
    torn = messages[int(whole[-1]) + 1 :]
    if len(np.unique(torn[:, TABLE_INDEX])) < len(torn):
        return 0  # a publication has one message a table
    descriptor = door.open_append(found[-1])
    door.truncate(descriptor, int(messages[int(whole[-1]), END]))
    door.sync(descriptor)
    door.close(descriptor)
    return int(torn[:, ROWS].sum())
