"""One message a row, fast: a kernel stamps and encodes packed records straight into log bytes."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from tickloop.core.clock import monotonic_ns
from tickloop.core.kernel import kernel
from tickloop.core.schema import Kind
from tickloop.tickerplant.encode import write_value
from tickloop.tickerplant.layout import SYMBOL, Layout
from tickloop.tickerplant.little_endian import copy_bytes
from tickloop.tickerplant.names import Names

# Rows wait at most this long, or this many, before subscribers and readers get them.
STAGE_NS = 500_000
STAGE_ROWS = 256


@kernel(
    "int64(uint8[:, ::1], int64[:, ::1], uint8[::1], uint8[::1], int64[::1], int64, int64,"
    " uint8[::1])"
)
def _stamp_and_encode(
    records: npt.NDArray[np.uint8],
    columns: npt.NDArray[np.int64],
    prefix: npt.NDArray[np.uint8],
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    now: int,
    first_seq: int,
    out: npt.NDArray[np.uint8],
) -> int:
    """Write `now` over times before it and seqs from `first_seq` on; encode; the bytes written."""
    position = 0
    last = columns.shape[0] - 1
    for row in range(records.shape[0]):
        time = 0
        for byte in range(7):
            time |= int(records[row, byte]) << (8 * byte)
        time |= int(records[row, 7] & 127) << 56
        if records[row, 7] >= 128 or time < now:
            time = now
        now = time
        seq = first_seq + row
        for byte in range(8):
            records[row, byte] = (time >> (8 * byte)) & 255
            records[row, columns[last, 0] + byte] = (seq >> (8 * byte)) & 255
        copy_bytes(prefix, 0, prefix.shape[0], out, position)
        position += prefix.shape[0]
        for column in range(columns.shape[0]):
            position = write_value(records[row], columns[column], blob, ends, out, position)
    return position


class RowPublisher:
    """Prepares one table's records for the log and stages them for everybody else."""

    def __init__(
        self, layout: Layout, names: Names, deliver: Callable[[npt.NDArray[np.void]], None]
    ) -> None:
        assert Kind.TEXT not in layout.table.kinds, f"{layout.table.name} holds text: use batches"
        self.layout = layout
        self._names = names
        self._deliver = deliver
        self._row_bytes = layout.record_dtype.itemsize
        self._columns = layout.record_columns
        self._prefix = np.frombuffer(bytearray(layout.log_prefix), dtype=np.uint8)
        self._out = np.empty(1 << 16, dtype=np.uint8)
        self._stage = np.zeros(STAGE_ROWS, dtype=layout.record_dtype)
        self._staged = 0
        self._staged_at = 0

    def encode(self, records: npt.NDArray[np.void], *, now: int, first_seq: int) -> bytes:
        """Stamp records in place and encode each as a log message of its own."""
        names = self._names
        names.refresh()
        count = len(records)
        symbols = self.layout.types.count(SYMBOL)
        bound = count * (
            len(self._prefix) + 6 * len(self._columns) + self._row_bytes
            + symbols * (names.longest + 1)
        )  # fmt: skip
        if bound > len(self._out):
            self._out = np.empty(bound, dtype=np.uint8)
        raw = records.view(np.uint8).reshape(count, self._row_bytes)
        size = _stamp_and_encode(
            raw, self._columns, self._prefix, names.blob, names.ends, now, first_seq, self._out
        )
        return self._out[:size].tobytes()

    def stage(self, records: npt.NDArray[np.void]) -> None:
        """Keep logged records for delivery; deliver when they are many or have waited."""
        count = len(records)
        if count + self._staged > STAGE_ROWS:
            self.flush()
        if count > STAGE_ROWS:
            self._deliver(records)
            return
        if not self._staged:
            self._staged_at = monotonic_ns()
        self._stage[self._staged : self._staged + count] = records
        self._staged += count
        if monotonic_ns() - self._staged_at >= STAGE_NS:
            self.flush()

    def flush(self) -> None:
        """Deliver what is staged."""
        if self._staged:
            count, self._staged = self._staged, 0
            self._deliver(self._stage[:count])
