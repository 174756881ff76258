"""Columns whose rows are any values: places in a heap `col#`, symbols by number in `col##`.

The layout was measured on a real file (lists, vectors, symbols, dictionaries, tables). How kdb+
stores atoms there is not known; they are refused by name.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.core.errors import StoreError
from tickloop.tickerplant.kdb_layout import ANYMAP, DTYPES, ENUM
from tickloop.tickerplant.mapped_file import Bytes

Value = bytes | npt.NDArray[np.generic] | list[str] | list["Value"] | dict[str, "Value"]

_CHAR, _SYMBOL, _TABLE, _DICT = 10, 11, 98, 99
_PLACE_MASK = (1 << 48) - 1  # the bytes above tell kdb+ something about the value's form
_LONG_FORM = 0xFB  # fb 00, type, attribute, int32, int64 count, data
_SHORT_FORM = 0x80  # 0x80 + type - 1, one byte of count, data
_DEPTH_MAX = 16
_SAMPLE = 16


@dataclass(frozen=True, eq=False)
class AnyMap:
    """A column of values of any type; `places` and `heap` are mapped."""

    name: str
    places: npt.NDArray[np.int64]
    heap: Bytes
    symbols: Sequence[str]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def is_text(self) -> bool:
        """Whether the first rows are strings, so that the column reads as text."""
        heap = _Heap(self)
        return all(
            heap.shape(int(place) & _PLACE_MASK)[0] == _CHAR for place in self.places[:_SAMPLE]
        )

    def item(self, row: int) -> Value:
        """Give one row: bytes, an array, names, a list of these, or a dictionary.

        Enumerated symbols come as their int64 indexes.
        """
        return _Heap(self).value(int(self.places[row]), 0)

    def items(self, start: int, stop: int) -> Iterator[Value]:
        """Give rows one after the other."""
        return map(self.item, range(start, stop))


class _Heap:
    """Decodes one row; counts what it decodes, since damaged places may lead in circles."""

    def __init__(self, column: AnyMap) -> None:
        self._name = column.name
        self._heap = column.heap
        self._symbols = column.symbols
        self._values_left = len(column.heap) // 8 + 1

    def shape(self, place: int) -> tuple[int, int, int]:
        """Give (type, count, first byte of data) of the value at a place."""
        if place + 2 > len(self._heap):
            raise self._damage(place, f"past its end at {len(self._heap)}")
        first = int(self._heap[place])
        if first == _LONG_FORM:
            if place + 16 > len(self._heap):
                raise self._damage(place, "a header cut short")
            type_number, count = struct.unpack_from("<2xB5xq", self._heap.data, place)
            return type_number, count, place + 16
        if first & _SHORT_FORM:
            return (first & 0x7F) + 1, int(self._heap[place + 1]), place + 2
        raise self._damage(place, f"byte {first:02x} where a vector, list or table begins")

    def value(self, reference: int, depth: int) -> Value:
        """Decode the value that a reference names."""
        type_number, count, start = self.shape(reference & _PLACE_MASK)
        if type_number in (ANYMAP, _TABLE, _DICT):
            inner = self._inner(start, count, depth)
            return inner if type_number == ANYMAP else _as_dict(type_number, inner)
        if type_number == _SYMBOL:
            return self._names(start, np.frombuffer(self._part(start, count * 4), dtype="<i4"))
        if type_number == ENUM:
            return np.frombuffer(self._part(start, count * 8), dtype="<i8")
        if type_number not in DTYPES:
            raise self._damage(start, f"a value of type {type_number}")
        part = self._part(start, count * np.dtype(DTYPES[type_number]).itemsize)
        return part if type_number == _CHAR else np.frombuffer(part, dtype=DTYPES[type_number])

    def _damage(self, place: int, seen: str) -> StoreError:
        return StoreError(
            f"{self._name}: heap byte {place}: {seen}; the heap is damaged, or holds atoms or"
            " what a newer kdb+ wrote"
        )

    def _inner(self, start: int, count: int, depth: int) -> list[Value]:
        references = np.frombuffer(self._part(start, count * 8), dtype="<i8")
        self._values_left -= len(references)
        if depth >= _DEPTH_MAX or self._values_left < 0:
            raise self._damage(start, "values within values without end")
        return [self.value(int(reference), depth + 1) for reference in references]

    def _part(self, start: int, length: int) -> bytes:
        if not 0 <= length <= len(self._heap) - start:
            raise self._damage(start, f"{length} bytes promised, {len(self._heap) - start} there")
        return self._heap[start : start + length].tobytes()

    def _names(self, start: int, numbers: npt.NDArray[np.int32]) -> list[str]:
        if len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(self._symbols):
            raise self._damage(start, f"symbol {numbers.max()} of {len(self._symbols)}")
        return [self._symbols[number] for number in numbers]


def _as_dict(type_number: int, inner: list[Value]) -> dict[str, Value]:
    """Make a table a dictionary of columns; any other dictionary keeps keys and values apart."""
    keys, values = (*inner, [], [])[:2]
    if type_number == _TABLE and isinstance(keys, list) and isinstance(values, list):
        columns: list[Value] = [column for column in values if not isinstance(column, str)]
        return {str(name): column for name, column in zip(keys, columns, strict=False)}
    return {"key": keys, "value": values}
