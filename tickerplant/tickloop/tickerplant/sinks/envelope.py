"""A message on the bus: a fixed header, the clock's rows, and a block of inside columns.

Everything is little-endian. The header says which table, plant and shard the rows are of, and
which stretch of seqs the message tells of: every row of this table and shard, and every clock
row, with `previous` < seq <= `through`. A message without rows is a progress record. So a reader
sees a gap (`previous` is past what it has), a repeat (`through` is not), and how far silence
reaches, from the bytes alone: some readers are given neither Kafka's headers nor its offsets.

After the header come the clock rows' times and seqs, a byte a column that says how it is packed
(`packing`), then the columns in schema order: symbols as int32 ids, prices and sizes as int64 in
the symbol's unit. Each part is padded to 8 bytes. A column with a value that is no whole number
of units is sent as float64, and its bit in `floats` is set. Text is a column of int32 lengths,
then the bytes.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import INSIDE, NULL_SYMBOL
from tickloop.core.errors import WireError
from tickloop.core.schema import CLOCK, Kind, Table, schema_digest
from tickloop.tickerplant.sinks.packing import Packing, pack
from tickloop.tickerplant.sinks.unpacking import columns_at

MAGIC = b"TLB1"
_HEADER = struct.Struct("<4sHHQQIIqqqqqqQHHI")
HEADER_BYTES = _HEADER.size
NO_SEQ = -1
_Column = npt.NDArray[np.generic]


class Header(NamedTuple):
    """What a message tells of."""

    shard: int
    shards: int
    schema: int
    plant: int
    rows: int
    clocks: int
    previous: int
    through: int
    first_seq: int  # of the rows; NO_SEQ if there are none
    last_seq: int
    first_time: int  # of the rows and clock rows
    last_time: int
    floats: int = 0  # bit i: column i is float64 instead of whole units


@dataclass(frozen=True, slots=True)
class Message:
    """A message taken apart; columns are arrays of their own."""

    header: Header
    rows: Batch
    clocks: Batch


@cache
def schema_id(table: Table) -> int:
    """Name a table's columns and kinds by a number."""
    return schema_digest([table])


def encode(header: Header, rows: Batch, clocks: Sequence[_Column]) -> bytes:
    """Spell a message; `clocks` are the times and the seqs of the clock rows."""
    h = header
    parts: list[bytes | memoryview] = [
        _HEADER.pack(
            MAGIC, HEADER_BYTES, h.shard, h.schema, h.plant, h.rows, h.clocks, h.previous,
            h.through, h.first_seq, h.last_seq, h.first_time, h.last_time, h.floats, h.shards,
            len(rows.table.columns), 0,
        )
    ]  # fmt: skip
    parts.extend(np.ascontiguousarray(values, dtype="<i8").data for values in clocks)
    if h.rows:
        packed = [_column(column.kind, rows.columns[column.name]) for column in rows.table.columns]
        codes = bytes(packing for packing, _ in packed)
        parts.append(codes + bytes(-len(codes) % 8))
        for _, pieces in packed:
            parts.extend(pieces)
            parts.append(bytes(-sum(memoryview(piece).nbytes for piece in pieces) % 8))
    return b"".join(parts)


def _column(kind: Kind, values: _Column) -> tuple[Packing, Sequence[bytes | memoryview]]:
    if kind is not Kind.TEXT:
        return pack(values)
    texts = values.tolist()
    lengths = np.array([len(text) for text in texts], dtype="<i4")
    return Packing.PLAIN, [lengths.data, *texts]


def read_header(raw: bytes | bytearray | memoryview) -> Header:
    """Read a header alone; WireError if the bytes are no message of this format."""
    if len(raw) < HEADER_BYTES or bytes(raw[:4]) != MAGIC:
        raise WireError(
            f"bus message of {len(raw)} bytes begins with {bytes(raw[:4])!r}, {MAGIC!r} and at"
            f" least {HEADER_BYTES} bytes expected; does something else write to this topic?"
        )
    (
        _, _, shard, schema, plant, rows, clocks, previous, through, first, last, first_time,
        last_time, floats, shards, _, _,
    ) = _HEADER.unpack_from(raw)  # fmt: skip
    return Header(
        shard, shards, schema, plant, rows, clocks, previous, through, first, last, first_time,
        last_time, floats,
    )  # fmt: skip


def decode(raw: bytes | bytearray, table: Table, header: Header | None = None) -> Message:
    """Take a message apart; WireError if it is of another table or does not hold what it says.

    `header` is the message's, where it was read before.
    """
    header = header or read_header(raw)
    if header.rows and header.schema != schema_id(table):
        raise WireError(
            f"bus message with schema {header.schema:x} seen, {schema_id(table):x}"
            f" ({table.name}: {' '.join(table.names)}) expected; the plant that wrote it has other"
            " columns"
        )
    at = int.from_bytes(raw[4:6], "little")
    clocks, end = _clocks(raw, at, header.clocks) if header.clocks else (_NO_CLOCKS, at)
    if not header.rows:
        return Message(header, nothing_of(table), clocks)
    columns = columns_at(bytes(raw), end, table, header.rows, header.floats)
    return Message(header, Batch(table, columns), clocks)


def _clocks(raw: bytes | bytearray, at: int, count: int) -> tuple[Batch, int]:
    """Read the clock's rows; give where they end, too."""
    end = at + 16 * count
    if end > len(raw):
        raise WireError(
            f"bus message of {len(raw)} bytes: column of {16 * count} bytes at byte {at} expected;"
            " it is cut short"
        )
    times, seqs = np.frombuffer(raw, dtype="<i8", count=2 * count, offset=at).copy().reshape(2, -1)
    return _clock_rows(times, seqs), end


def _clock_rows(times: _Column, seqs: _Column) -> Batch:
    nobody = np.full(len(times), NULL_SYMBOL, dtype=np.int32)
    return Batch(CLOCK, {"time": times, "sym": nobody, "seq": seqs})


_NO_CLOCKS = _clock_rows(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


@cache
def nothing_of(table: Table) -> Batch:
    """Give no rows of a table."""
    return Batch(table, {
        column.name: np.empty(0, dtype=INSIDE[column.kind]) for column in table.columns
    })  # fmt: skip
