"""Which rows of a partition each symbol has: our index beside kdb+'s files, which it ignores."""

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import StoreError
from tickloop.tickerplant.kdb_layout import parse_layout, vector_header

Longs = npt.NDArray[np.int64]

FILE_NAME = ".parted"
_VERSION = 1
_LONG = 7
_HEAD = 4  # version, rows, symbols, checksum


@dataclass(frozen=True, slots=True)
class Parted:
    """Which rows each symbol has: rows starts[k] to stops[k] are those of symbol ids[k].

    `ids` ascends; null is NULL_LONG and comes first. Ranges cover all rows, each row once.
    """

    ids: Longs
    starts: Longs
    stops: Longs

    def rows_of(self, symbol_id: int) -> slice:
        """Give the rows of a symbol; an empty slice if it has none."""
        at = int(np.searchsorted(self.ids, symbol_id))
        if at == len(self.ids) or self.ids[at] != symbol_id:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.stops[at]))

    @property
    def rows(self) -> int:
        """How many rows all symbols have together."""
        return int((self.stops - self.starts).sum())


def encode_parted(parted: Parted) -> bytes:
    """Spell the index as a file that kdb+ reads as a vector of longs.

    version, rows, number of symbols, checksum of the rest, then ids, starts, stops.
    """
    body = np.concatenate((parted.ids, parted.starts, parted.stops)).astype("<i8")
    crc = zlib.crc32(body.tobytes())
    head = np.array([_VERSION, parted.rows, len(parted.ids), crc], dtype="<i8")
    return vector_header(_LONG, len(head) + len(body)) + head.tobytes() + body.tobytes()


def decode_parted(raw: bytes, *, rows: int, name: str) -> Parted:
    """Read the index; StoreError if it is damaged or not of a partition of `rows` rows."""
    layout = parse_layout(raw, len(raw), name=name)
    values = np.frombuffer(raw, dtype="<i8", offset=layout.start, count=layout.count)
    if layout.type == _LONG and len(values) >= _HEAD and values[0] == _VERSION:
        symbols = (len(values) - _HEAD) // 3
        parted = Parted(*values[_HEAD : _HEAD + 3 * symbols].reshape(3, symbols))
        told = (rows, symbols, zlib.crc32(values[_HEAD:].tobytes()))
        if tuple(values[1:_HEAD].tolist()) == told and _tiles(parted, rows):
            return parted
    raise StoreError(
        f"{name}: no index of {rows} rows in its {len(raw)} bytes; remove it, queries then read"
        " the symbol column instead"
    )


def _tiles(parted: Parted, rows: int) -> bool:
    if parted.rows != rows or not len(parted.ids):
        return parted.rows == rows == 0
    # Rows lie in the order of names where kdb+ sorted them, which need not be that of ids.
    by_row = np.argsort(parted.starts, kind="stable")
    starts, stops = parted.starts[by_row], parted.stops[by_row]
    return bool(
        starts[0] == 0
        and (starts[1:] == stops[:-1]).all()
        and (parted.stops > parted.starts).all()
        and (parted.ids[1:] > parted.ids[:-1]).all()
    )


def parted_of(ids: npt.NDArray[np.generic]) -> Parted | None:
    """Make the index by reading a symbol column; None if a symbol's rows are not together."""
    if not len(ids):
        empty = np.empty(0, dtype=np.int64)
        return Parted(empty, empty, empty)
    edges = np.flatnonzero(ids[1:] != ids[:-1]) + 1
    starts = np.concatenate(([0], edges)).astype(np.int64)
    stops = np.concatenate((edges, [len(ids)])).astype(np.int64)
    found = np.asarray(ids[starts]).astype(np.int64)
    by_id = np.argsort(found, kind="stable")
    if (np.diff(found[by_id]) == 0).any():
        return None
    return Parted(found[by_id], starts[by_id], stops[by_id])
