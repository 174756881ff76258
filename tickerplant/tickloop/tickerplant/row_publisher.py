"""One message a row, fast: rows wait a moment for their neighbours, then one kernel encodes all."""

import numpy as np
import numpy.typing as npt

from tickloop.core.kernel import kernel
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.encode import Encoder, write_value
from tickloop.tickerplant.layout import SYMBOL, Layout
from tickloop.tickerplant.little_endian import copy_bytes
from tickloop.tickerplant.names import Names

# Rows wait at most this long, or this many, before they are logged together and published.
STAGE_NS = 250_000
STAGE_ROWS = 256


@kernel(
    "int64(uint8[:, ::1], int64[:, ::1], uint8[::1], uint8[::1], int64[::1], int64[::1], int64,"
    " int64, uint8[::1])"
)
def _stamp_and_encode(
    records: npt.NDArray[np.uint8],
    columns: npt.NDArray[np.int64],
    prefix: npt.NDArray[np.uint8],
    blob: npt.NDArray[np.uint8],
    ends: npt.NDArray[np.int64],
    stamps: npt.NDArray[np.int64],
    now: int,
    first_seq: int,
    out: npt.NDArray[np.uint8],
) -> int:
    """Stamp, number and encode records; the bytes written.

    A row's time is its stamp, or without stamps its own raised to the times before it and `now`.
    """
    position = 0
    last = columns.shape[0] - 1
    for row in range(records.shape[0]):
        time = 0
        for byte in range(7):
            time |= int(records[row, byte]) << (8 * byte)
        time |= int(records[row, 7] & 127) << 56
        if records[row, 7] >= 128 or time < now:
            time = now
        if stamps.shape[0] > 0:
            time = stamps[row]
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


class RowEncoder:
    """Prepares one table's records for the log."""

    def __init__(self, layout: Layout, names: Names) -> None:
        assert Kind.TEXT not in layout.table.kinds, f"{layout.table.name} holds text: use batches"
        self.table = layout.table
        self.row_bytes = layout.record_dtype.itemsize
        self._dtype = layout.record_dtype
        self._names = names
        self._columns = layout.record_columns
        self._prefix = np.frombuffer(bytearray(layout.log_prefix), dtype=np.uint8)
        self._message_bytes = len(layout.log_prefix) + 6 * len(layout.types) + self.row_bytes
        self._symbols = layout.types.count(SYMBOL)

    def encode(
        self, raw: bytes, stamps: list[int], *, now: int, first_seq: int
    ) -> tuple[bytes, npt.NDArray[np.void]]:
        """Give records' log messages and the records with their time and seq."""
        names = self._names
        names.refresh()
        data = np.frombuffer(bytearray(raw), dtype=np.uint8).reshape(-1, self.row_bytes)
        out = np.empty(
            len(data) * (self._message_bytes + self._symbols * (names.longest + 1)), dtype=np.uint8
        )
        size = _stamp_and_encode(
            data, self._columns, self._prefix, names.blob, names.ends,
            np.array(stamps, dtype=np.int64), now, first_seq, out,
        )  # fmt: skip
        return out[:size].tobytes(), data.reshape(-1).view(self._dtype)


class _Run:
    """Rows of one table that follow one another."""

    __slots__ = ("encoder", "raw", "stamps")

    def __init__(self, encoder: RowEncoder) -> None:
        self.encoder = encoder
        self.raw: list[bytes] = []
        self.stamps: list[int] = []


class RowStage:
    """Rows in the order in which they came, until they are logged together."""

    def __init__(self, encoder: Encoder, names: Names) -> None:
        self._encoder = encoder
        self._names = names
        self._encoders: dict[str, RowEncoder] = {}
        self._runs: list[_Run] = []
        self._run: _Run | None = None
        self.rows = 0
        self.first_seq = 0
        self.since_ns = 0

    def add(self, table: Table, raw: bytes, rows: int, stamp: int | None) -> None:
        """Add packed records; `stamp` is their time where the plant stamps."""
        run = self._run
        if run is None or run.encoder.table is not table:
            run = self._run = _Run(self._encoder_of(table))
            self._runs.append(run)
        run.raw.append(raw)
        if stamp is not None:
            run.stamps.extend([stamp] * rows)
        self.rows += rows

    def _encoder_of(self, table: Table) -> RowEncoder:
        found = self._encoders.get(table.name)
        if found is None:
            found = RowEncoder(self._encoder.layout(table), self._names)
            self._encoders[table.name] = found
        return found

    def encode(self, now: int) -> tuple[bytes, list[tuple[Table, npt.NDArray[np.void]]]]:
        """Encode everything for the log; give the records table by table in their order."""
        parts = []
        found = []
        seq = self.first_seq
        for run in self._runs:
            part, records = run.encoder.encode(
                b"".join(run.raw), run.stamps, now=now, first_seq=seq
            )
            now = int(records["time"][-1])
            seq += len(records)
            parts.append(part)
            found.append((run.encoder.table, records))
        return b"".join(parts), found

    def clear(self) -> None:
        """Forget rows that are logged."""
        self._runs = []
        self._run = None
        self.rows = 0
