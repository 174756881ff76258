"""Derived rows on the bus: the plant's envelope, with names at its end.

A message tells of the derived rows of one table and share with causes in (`previous`,
`through`]; `seq` is the cause. A share's messages of a table follow one another without a gap,
so a reader tells what comes again from what is new. Columns of symbols hold the plant's ids, or,
where an operator made names, positions in a list of names that follows the columns.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import INSIDE, nulls
from tickloop.core.errors import WireError
from tickloop.core.schema import DERIVED, Column, Table
from tickloop.tickerplant.sinks.envelope import Header, decode, encode, read_header, schema_id

# Rows a message: its bytes stay well below what brokers take.
ROWS_MAX = 20_000
_LENGTH_BYTES = 4
_NO_CLOCKS = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
_Array = npt.NDArray[np.generic]
# Tables by the ids of their schemas.
Tables = Mapping[int, Table]
SHIPPED: Tables = {schema_id(table): table for table in DERIVED}


@dataclass(frozen=True, slots=True)
class Writer:
    """Spells one share's derived rows."""

    share: int
    shares: int
    plant: int

    def messages(self, rows: Batch, previous: int, through: int) -> Iterator[bytes]:
        """Yield messages that together tell of the stretch; rows of one cause stay together."""
        if len(rows) <= ROWS_MAX:
            yield self._message(rows, previous, through)
            return
        causes = rows.columns["cause"]
        ends = [*_cuts(causes), len(rows)]
        start = 0
        for end in ends:
            part = {name: values[start:end] for name, values in rows.columns.items()}
            reach = through if end == ends[-1] else int(causes[end - 1].item())
            yield self._message(Batch(rows.table, part), previous, reach)
            start, previous = end, reach

    def _message(self, rows: Batch, previous: int, through: int) -> bytes:
        if not len(rows):
            silence = encode(self._header(rows, previous, through, 0), rows, _NO_CLOCKS)
            return silence + bytes(_LENGTH_BYTES)
        columns: dict[str, _Array] = {}
        names: dict[str, list[str]] = {}
        floats = 0
        for index, column in enumerate(rows.table.columns):
            values = _column(rows, column)
            if values.dtype.kind == "S":
                values, names[column.name] = _numbered(values)
            elif values.dtype.kind == "f" and np.dtype(INSIDE[column.kind]).kind != "f":
                floats |= 1 << index
                columns[column.name] = np.ascontiguousarray(values, dtype="<f8")
                continue
            columns[column.name] = np.ascontiguousarray(values, dtype=INSIDE[column.kind])
        header = self._header(rows, previous, through, floats)
        tail = json.dumps(names, separators=(",", ":")).encode() if names else b""
        body = encode(header, Batch(rows.table, columns), _NO_CLOCKS)
        return b"".join((body, tail, len(tail).to_bytes(_LENGTH_BYTES, "little")))

    def _header(self, rows: Batch, previous: int, through: int, floats: int) -> Header:
        causes = rows.columns["cause"].tolist()[:: max(len(rows) - 1, 1)] if len(rows) else [-1]
        times = rows.columns["time"].tolist()[:: max(len(rows) - 1, 1)] if len(rows) else [0]
        return Header(
            shard=self.share, shards=self.shares, schema=schema_id(rows.table), plant=self.plant,
            rows=len(rows), clocks=0, previous=previous, through=through, first_seq=causes[0],
            last_seq=causes[-1], first_time=times[0], last_time=times[-1], floats=floats,
        )  # fmt: skip


def _cuts(causes: _Array) -> Sequence[int]:
    """Choose where to cut: at the first change of cause at or past every ROWS_MAX rows."""
    changes = np.flatnonzero(np.diff(causes.astype(np.int64))) + 1
    wanted = np.arange(ROWS_MAX, len(causes), ROWS_MAX)
    found = np.searchsorted(changes, wanted)
    cuts = changes[found[found < len(changes)]]
    return [int(cut) for cut in np.unique(cuts)]


def _column(rows: Batch, column: Column) -> _Array:
    if column.name == "seq":
        return rows.columns["cause"]
    found = rows.columns.get(column.name)
    return found if found is not None else nulls(column.kind, len(rows), dtype=INSIDE[column.kind])


def _numbered(names: _Array) -> tuple[_Array, list[str]]:
    known, numbers = np.unique(names, return_inverse=True)
    # Latin-1 gives every byte a letter and back, whatever a symbol's name holds.
    return numbers.astype(np.int32), [name.decode("latin-1") for name in known.tolist()]


@dataclass(frozen=True, slots=True)
class Result:
    """A message taken apart; columns of names hold bytes (dtype S)."""

    header: Header
    rows: Batch


def header_of(raw: bytes, tables: Tables = SHIPPED) -> tuple[Header, Table]:
    """Read a message's header; WireError if it tells of no table that is expected."""
    header = read_header(raw)
    table = tables.get(header.schema)
    if table is None:
        raise WireError(
            f"derived rows of schema {header.schema:x} seen, one of"
            f" {', '.join(f'{id_:x} ({each.name})' for id_, each in tables.items())} expected;"
            " the job runs other code than this program, or the topic has rows of an operator with"
            " other columns: give the stream another name, whose topic is new"
        )
    return header, table


def read(raw: bytes, tables: Tables = SHIPPED) -> Result:
    """Take a message apart; `seq` is the cause, and the `stream` is the topic's."""
    header, table = header_of(raw, tables)
    rows = decode(raw, table).rows
    names = _names(raw)
    columns = {
        name: values if name not in names else _named(values, names[name])
        for name, values in rows.columns.items()
        if name != "stream"
    }
    return Result(header, Batch(table, columns))


def _names(raw: bytes) -> Mapping[str, Sequence[str]]:
    size = int.from_bytes(raw[-_LENGTH_BYTES:], "little")
    if not size:
        return {}
    found: Mapping[str, Sequence[str]] = json.loads(raw[-_LENGTH_BYTES - size : -_LENGTH_BYTES])
    return found


def _named(numbers: _Array, names: Sequence[str]) -> _Array:
    known = np.array([name.encode("latin-1") for name in names], dtype=np.bytes_)
    return known[numbers.astype(np.int32)]
