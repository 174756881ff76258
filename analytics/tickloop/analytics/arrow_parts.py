"""Parts as Arrow arrays over the same memory: fixed-width columns are never copied."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tickloop.core.clock import EPOCH_DATE
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.part import Part
from tickloop.tickerplant.segment import Text

if TYPE_CHECKING:
    import pyarrow as pa

Array = npt.NDArray[np.generic]
DATE = "date"
_DICTIONARIES_MAX = 8
UNIX_DAYS = (EPOCH_DATE - date(1970, 1, 1)).days


class Dictionaries:
    """Symbol lists as Arrow arrays, made once for each list."""

    def __init__(self) -> None:
        self._made: dict[int, tuple[Sequence[str], pa.Array]] = {}
        self._ids: dict[int, tuple[Sequence[str], Mapping[str, list[int]]]] = {}

    def of(self, names: Sequence[str]) -> "pa.Array":
        """Give the Arrow array of a list of names."""
        known = self._made.get(id(names))
        if known is not None and known[0] is names:
            return known[1]
        import pyarrow as pa

        # The empty name is the null symbol, also where a symbol file has it.
        array = pa.array([_shown(name) or None for name in names], type=pa.string())
        if len(self._made) >= _DICTIONARIES_MAX:
            self._made.clear()
        self._made[id(names)] = (names, array)
        return array

    def ids(self, names: Sequence[str]) -> Mapping[str, Sequence[int]]:
        """Give the positions of every name that is shown, in ascending order."""
        known = self._ids.get(id(names))
        if known is not None and known[0] is names:
            return known[1]
        found: dict[str, list[int]] = {}
        for position, name in enumerate(names):
            found.setdefault(_shown(name), []).append(position)
        if len(self._ids) >= _DICTIONARIES_MAX:
            self._ids.clear()
        self._ids[id(names)] = (names, found)
        return found


def _shown(name: str) -> str:
    """Names that are no UTF-8 (kdb+ allows any bytes) are shown with replacement marks."""
    return name if name.isascii() else name.encode(errors="replace").decode()


def tables_of(
    table: Table, parts: Iterable[Part], *, with_date: bool, dictionaries: Dictionaries
) -> list[tuple[object, "pa.Table"]]:
    """Join parts to Arrow tables: one for each storage form that the parts have.

    With each comes what is the same only for the same rows in the same place, while they live.
    """
    import pyarrow as pa

    grouped: dict[tuple[object, ...], list[Any]] = {}
    places: dict[tuple[object, ...], list[object]] = {}
    for part in parts:
        batch = _batch(table, part, with_date=with_date, dictionaries=dictionaries)
        names = (id(part.names_of(column.name)) for column in table.columns)
        key = (*names, *(str(field.type) for field in batch.schema))
        grouped.setdefault(key, []).append(batch)
        places.setdefault(key, [key]).append(_place(part))
    return [(places[key], pa.Table.from_batches(found)) for key, found in grouped.items()]


def _place(part: Part) -> object:
    """Say where a part's rows lie; a text is made anew each time."""
    where = (
        object() if isinstance(values, Text) else values.__array_interface__["data"]
        for values in part.columns.values()
    )
    return part.session, part.rows, *where


def _batch(
    table: Table, part: Part, *, with_date: bool, dictionaries: Dictionaries
) -> "pa.RecordBatch":
    import pyarrow as pa

    columns = dict(_arrays(table, part, dictionaries))
    if with_date:
        columns[DATE] = _constant_date(part)
    return pa.RecordBatch.from_pydict(columns)


def _arrays(
    table: Table, part: Part, dictionaries: Dictionaries
) -> Iterator[tuple[str, "pa.Array"]]:
    for column in table.columns:
        values = part.columns[column.name]
        if isinstance(values, Text):
            yield column.name, text_array(values)
        elif column.kind is Kind.SYMBOL:
            yield column.name, symbol_array(values, dictionaries.of(part.names_of(column.name)))
        else:
            yield column.name, plain_array(values)


def plain_array(values: Array) -> "pa.Array":
    """View values as an Arrow array; nulls are still kdb+'s values."""
    import pyarrow as pa

    values = np.ascontiguousarray(values)
    kind = pa.binary(16) if values.dtype.itemsize == 16 else pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def symbol_array(ids: Array, names: "pa.Array") -> "pa.Array":
    """View symbol ids as a dictionary array; ids without a name are null, never the first one."""
    import pyarrow as pa

    ids = np.ascontiguousarray(ids)
    named = np.less(ids, len(names)) & np.greater_equal(ids, 0)
    bitmap = None if named.all() else pa.py_buffer(np.packbits(named, bitorder="little"))
    kind = pa.dictionary(pa.from_numpy_dtype(ids.dtype), pa.string())
    return pa.DictionaryArray.from_buffers(kind, len(ids), [bitmap, pa.py_buffer(ids)], names)


def text_array(text: Text) -> "pa.Array":
    """Make a string array; the bytes are not copied unless some are no UTF-8."""
    import pyarrow as pa

    offsets = np.concatenate([np.array([text.start], dtype=np.int64), text.ends])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(text.heap))]
    array = pa.Array.from_buffers(pa.large_binary(), len(text), buffers)
    try:
        return array.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [value.decode(errors="replace") for value in text.to_list()]
        return pa.array(texts, type=pa.large_string())


def _constant_date(part: Part) -> "pa.Array":
    """Make a date column of one run, so that it takes no memory however many rows there are."""
    import pyarrow as pa

    day = None if part.session is None else (part.session - EPOCH_DATE).days + UNIX_DAYS
    value = pa.array([day], type=pa.int32()).cast(pa.date32())
    return pa.RunEndEncodedArray.from_arrays(pa.array([part.rows], type=pa.int64()), value)
