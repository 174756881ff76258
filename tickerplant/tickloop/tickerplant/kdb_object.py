"""Serialised values as columns: short lists that kdb+ keeps as one object (shape ff 01)."""

import struct

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import StoreError
from tickloop.tickerplant.kdb_layout import DTYPES, TEXT, Layout
from tickloop.tickerplant.kdb_nested import Nested
from tickloop.tickerplant.mapped_file import Bytes

_LIST, _CHARS = 0, 10
_ITEM_HEADER = struct.Struct("<bBi")


def object_rows(image: Bytes, layout: Layout, name: str) -> npt.NDArray[np.generic] | Nested:
    """Read a column kept as one object: a vector, or a list of strings."""
    if layout.type in DTYPES:
        dtype = np.dtype(DTYPES[layout.type])
        if not 0 <= layout.count * dtype.itemsize <= len(image) - layout.start:
            raise StoreError(f"{name}: {layout.count} values promised in {len(image)} bytes")
        part = image[layout.start : layout.start + layout.count * dtype.itemsize]
        return part.view(dtype)
    if layout.type == _LIST:
        return _texts(image.tobytes(), layout, name)
    raise StoreError(
        f"{name}: an object of type {layout.type} where a column was expected; expected a vector"
        " or a list of strings"
    )


def _texts(image: bytes, layout: Layout, name: str) -> Nested:
    at = layout.start
    ends: list[int] = []
    raw = bytearray()
    for row in range(layout.count):
        at, text = _text(image, at, name, row)
        raw += text
        ends.append(len(raw))
    return Nested(name, TEXT, np.array(ends, dtype=np.int64), np.frombuffer(raw, dtype=np.uint8))


def _text(image: bytes, at: int, name: str, row: int) -> tuple[int, bytes]:
    if image[at : at + 1] == b"\xf6" and at + 2 <= len(image):  # a char atom: one letter
        return at + 2, image[at + 1 : at + 2]
    if at + _ITEM_HEADER.size <= len(image):
        type_number, _, count = _ITEM_HEADER.unpack_from(image, at)
        start = at + _ITEM_HEADER.size
        if type_number == _CHARS and 0 <= count <= len(image) - start:
            return start + count, image[start : start + count]
    raise StoreError(f"{name}: row {row} at byte {at} is no string; lists of those are read here")
