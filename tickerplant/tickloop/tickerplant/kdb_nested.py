"""Columns whose rows are lists of one type: end offsets into the companion file `col#`."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import StoreError
from tickloop.tickerplant.kdb_layout import ANYMAP, DTYPES, TEXT
from tickloop.tickerplant.mapped_file import Bytes


@dataclass(frozen=True, eq=False)
class Nested:
    """A column of vectors of one type (77 + n); strings are the case n = 10.

    Row i is the bytes `raw[ends[i - 1]:ends[i]]` of the companion file; both arrays are mapped.
    For strings this was measured on real files; that wider items count bytes too is unproven.
    """

    name: str
    type: int
    ends: npt.NDArray[np.int64]
    raw: Bytes

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def is_text(self) -> bool:
        """Whether rows are strings."""
        return self.type == TEXT

    def item(self, row: int) -> bytes | npt.NDArray[np.generic]:
        """Give one row: bytes of a string, else an array."""
        dtype = np.dtype(DTYPES[self.type - ANYMAP])
        start = int(self.ends[row - 1]) if row else 0
        stop = int(self.ends[row])
        if not 0 <= start <= stop <= len(self.raw) or (stop - start) % dtype.itemsize:
            raise StoreError(
                f"{self.name}: row {row} lies at bytes {start} to {stop} of {len(self.raw)} in its"
                " companion file; the two files are not of one column"
            )
        part = self.raw[start:stop].tobytes()
        return part if self.is_text else np.frombuffer(part, dtype=dtype)

    def items(self, start: int, stop: int) -> "Iterator[bytes | npt.NDArray[np.generic]]":
        """Give rows one after the other."""
        return map(self.item, range(start, stop))


def ends_of(texts: npt.NDArray[np.object_], *, start: int = 0) -> npt.NDArray[np.int64]:
    """Give the end offset of each text when written one after the other from byte `start`."""
    lengths = np.fromiter(map(len, texts), dtype=np.int64, count=len(texts))
    return start + np.cumsum(lengths, dtype=np.int64)
