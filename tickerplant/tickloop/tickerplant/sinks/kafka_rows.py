"""Rows for readers without a library of ours: as JSON a record a row, or as Arrow streams."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.arrow_rows import record_batch
from tickloop.tickerplant.sinks.envelope import NO_SEQ
from tickloop.tickerplant.sinks.json_rows import json_rows
from tickloop.tickerplant.sinks.kafka_names import Names


class RowRecord(NamedTuple):
    """A record of a partition; `time` is that of its last row."""

    shard: int
    key: bytes | None
    time: int
    value: bytes


class RowFormat(Protocol):
    """How rows of a table are spelled, beside the table's own topic."""

    def topic(self, names: Names, table: str) -> str:
        """Name the topic of a table's rows."""
        ...

    def records(
        self, rows: Batch, shards: npt.NDArray[np.int16], names: Sequence[str]
    ) -> Iterator[RowRecord]:
        """Spell surface rows in the order of the log; `shards` has the partition of each."""
        ...

    def last_seq(self, value: bytes) -> int:
        """Read the last row's seq from a record."""
        ...


class JsonRows:
    """A record a row, under its symbol's name."""

    def topic(self, names: Names, table: str) -> str:
        """Name the topic of a table's rows."""
        return names.json(table)

    def records(
        self, rows: Batch, shards: npt.NDArray[np.int16], names: Sequence[str]
    ) -> Iterator[RowRecord]:
        """Spell each row."""
        symbols, times = rows.columns["sym"].tolist(), rows.columns["time"].tolist()
        keys = {
            each: (names[each] if each >= 0 else "").encode(errors="replace")
            for each in set(symbols)
        }
        values = json_rows(rows, names)
        for shard, symbol, time, value in zip(shards.tolist(), symbols, times, values, strict=True):
            yield RowRecord(shard, keys[symbol], time, value)

    def last_seq(self, value: bytes) -> int:
        """Read the row's seq."""
        return int(json.loads(value)["seq"])


class ArrowRows:
    """An Arrow IPC stream of one record batch for the rows of a partition."""

    def __init__(self, rows_max: int, *, fractional: bool) -> None:
        """A stream has at most `rows_max` rows."""
        self._rows_max = rows_max
        self._fractional = fractional

    def topic(self, names: Names, table: str) -> str:
        """Name the topic of a table's rows."""
        return names.arrow(table)

    def records(
        self, rows: Batch, shards: npt.NDArray[np.int16], names: Sequence[str]
    ) -> Iterator[RowRecord]:
        """Spell each partition's rows."""
        for shard in np.unique(shards).tolist():
            mine = np.flatnonzero(shards == shard)
            for start in range(0, len(mine), self._rows_max):
                own = mine[start : start + self._rows_max]
                part = Batch(rows.table, {name: each[own] for name, each in rows.columns.items()})
                yield RowRecord(
                    shard, None, int(part.columns["time"][-1]), self._stream(part, names)
                )

    def _stream(self, rows: Batch, names: Sequence[str]) -> bytes:
        import pyarrow as pa

        batch = record_batch(rows, names, fractional=self._fractional)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
        return bytes(sink.getvalue())

    def last_seq(self, value: bytes) -> int:
        """Read the last row's seq."""
        import pyarrow as pa

        with pa.ipc.open_stream(value) as stream:
            seqs = [batch.column("seq")[-1].as_py() for batch in stream if len(batch)]
        return int(seqs[-1]) if seqs else NO_SEQ
