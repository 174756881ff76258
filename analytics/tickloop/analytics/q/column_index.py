"""Indexes of columns, made once for each array and forgotten with it."""

import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.gather_kernels import look
from tickloop.analytics.q.group_kernels import count_codes, order_by_code, run_starts
from tickloop.analytics.q.values import Array, Attribute, Enumerated, Vector

Longs = npt.NDArray[np.int64]
T = TypeVar("T")

_KNOWN: dict[tuple[int, str], tuple["weakref.ref[Any]", Any]] = {}


def remembered(array: Array, name: str, make: Callable[[], T]) -> T:
    """Give what was made of an array before, or make it; arrays are never written to."""
    key = (id(array), name)
    known = _KNOWN.get(key)
    if known is not None and known[0]() is array:
        found: T = known[1]
        return found
    made = make()
    _KNOWN[key] = (weakref.ref(array, lambda _: _KNOWN.pop(key, None)), made)
    return made


@dataclass(frozen=True, slots=True)
class Spans:
    """Where each distinct item of a column lies: item k in rows starts[k] to stops[k].

    The rows are those of `order` where that is given, else the column's own.
    """

    items: Array
    starts: Longs
    stops: Longs
    order: Longs | None = None
    _by_item: dict[Any, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.items)

    def rows_of(self, item: Any) -> slice:
        """Give the span of an item; an empty one if the column does not have it."""
        if not self._by_item:
            self._by_item.update({key: k for k, key in enumerate(self.items.tolist())})
        k = self._by_item.get(item)
        return slice(0, 0) if k is None else slice(int(self.starts[k]), int(self.stops[k]))


def spans_of(column: Vector | Enumerated) -> Spans | None:
    """Give the spans of a parted or sorted column; None for other columns."""
    if column.attribute not in (Attribute.PARTED, Attribute.SORTED):
        return None
    return remembered(column.data, "spans", lambda: runs_of(column.data))


def known_spans(column: Vector | Enumerated) -> Spans | None:
    """Give the spans of a column that by its attribute has them, a grouped one included."""
    if column.attribute is Attribute.GROUPED and column.data.dtype.kind == "i":
        return remembered(column.data, "grouped", lambda: _grouped(column.data))
    return spans_of(column)


def remember_spans(array: Array, spans: Spans) -> None:
    """Keep spans that an index beside the column's file told."""
    remembered(array, "spans", lambda: spans)


def runs_of(data: Array) -> Spans:
    """Find runs of equal values."""
    starts = run_starts(data)
    stops = np.append(starts[1:], np.int64(len(data)))[: len(starts)]
    return Spans(data[starts], starts, stops)


def _grouped(data: Array) -> Spans:
    items, codes = np.unique(data, return_inverse=True)
    codes = codes.astype(np.int32)
    counts = np.zeros(len(items), dtype=np.int64)
    count_codes(look(codes), counts)
    stops = np.cumsum(counts)
    order = np.empty(len(data), dtype=np.int64)
    order_by_code(look(codes), stops - counts, order)
    return Spans(items, stops - counts, stops, order)
