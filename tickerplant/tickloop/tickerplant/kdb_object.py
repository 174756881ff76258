"""Serialised values on disk (shape ff 01): what travels on the wire, without its header."""

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import StoreError, WireError
from tickloop.tickerplant.kdb_layout import DTYPES, TEXT, Layout
from tickloop.tickerplant.kdb_names import HEADER_BYTES, parse_names
from tickloop.tickerplant.kdb_nested import Nested, ends_of
from tickloop.tickerplant.mapped_file import Bytes
from tickloop.tickerplant.q_decode import decode
from tickloop.tickerplant.q_values import Atom, List, QType, SymbolVector, Value, Vector

_MAGIC_BYTES = 2


def decode_object(image: Bytes, name: str) -> Value:
    """Read any value: atom, vector, list, dictionary, flat or keyed table.

    A list of symbols is read to the end of the file, whatever its count says. StoreError if the
    bytes are not one value.
    """
    raw = image.tobytes()
    if raw[:3] == b"\xff\x01\x0b":
        names, end = parse_names(raw, name)
        return SymbolVector(raw[HEADER_BYTES:end], len(names))
    if raw[:_MAGIC_BYTES] != b"\xff\x01":
        raise StoreError(f"{name}: first bytes {raw[:2].hex()}, ff01 (a serialised value) expected")
    try:
        return decode(raw[_MAGIC_BYTES:])
    except WireError as error:
        raise StoreError(f"{name}: no value that kdb+ wrote: {error}") from error


def object_rows(image: Bytes, layout: Layout, name: str) -> npt.NDArray[np.generic] | Nested:
    """Read a column kept as one object: a vector, or a list of strings."""
    if layout.type in DTYPES:
        dtype = np.dtype(DTYPES[layout.type])
        if not 0 <= layout.count * dtype.itemsize <= len(image) - layout.start:
            raise StoreError(f"{name}: {layout.count} values promised in {len(image)} bytes")
        part = image[layout.start : layout.start + layout.count * dtype.itemsize]
        return part.view(dtype)
    value = decode_object(image, name)
    if not isinstance(value, List):
        raise StoreError(
            f"{name}: a value of kdb+ type {layout.type} where a column was expected; columns are"
            " vectors and lists of strings"
        )
    texts = np.empty(len(value), dtype=object)
    texts[:] = [_text(item, name, row) for row, item in enumerate(value)]
    raw = np.frombuffer(b"".join(texts.tolist()), dtype=np.uint8)
    return Nested(name, TEXT, ends_of(texts), raw)


def _text(item: Value, name: str, row: int) -> bytes:
    if isinstance(item, Vector) and item.type is QType.CHAR:
        return item.data.tobytes()
    if isinstance(item, Atom) and item.type is QType.CHAR:  # a string of one letter
        return bytes([int(item.value)])
    raise StoreError(f"{name}: row {row} is no string; only lists of strings are columns here")
