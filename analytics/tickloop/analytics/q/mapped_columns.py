"""Columns of files as values: mapped arrays, symbols as enumerations, strings on demand."""

from collections.abc import Sequence

import numpy as np

from tickloop.analytics.q.column_index import Spans, remember_spans
from tickloop.analytics.q.partitioned import Texts
from tickloop.analytics.q.values import (
    DTYPES,
    Array,
    Attribute,
    Domain,
    Enumerated,
    List,
    QType,
    Value,
    Vector,
    symbols,
)
from tickloop.core.dialects import q
from tickloop.core.schema import Kind
from tickloop.tickerplant.parted import Parted
from tickloop.tickerplant.segment import Text, Values


class Domains:
    """Enumeration domains, made once for each list of names."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Sequence[str], Domain]] = {}

    def of(self, name: str, names: Sequence[str]) -> Domain:
        """Give the domain of a list of names."""
        known = self._made.get(name)
        if known is None or known[0] is not names:
            known = self._made[name] = (names, Domain(name, symbols(names)))
        return known[1]


def column_value(kind: Kind, values: Values, domain: Domain | None, *, fractional: bool) -> Value:
    """Give a column's values as they lie, without copying."""
    if isinstance(values, Text):
        return List(Texts(TextReader(values), range(len(values))))
    if domain is not None:
        return Enumerated(domain, values)
    number = QType(q.type_number(kind, fractional=fractional))
    dtype = DTYPES[number]
    if values.dtype != dtype:
        same_width = values.dtype.itemsize == dtype.itemsize
        values = values.view(dtype) if same_width else values.astype(dtype)
    return Vector(number, values)


class TextReader:
    """Reads single rows of a text column."""

    def __init__(self, text: Text) -> None:
        self._text = text

    def __call__(self, row: int) -> bytes:
        text = self._text
        start = int(text.ends[row - 1]) if row else text.start
        return bytes(text.heap[start : int(text.ends[row])].tobytes())


def with_parted(column: Value, parted: Parted | None) -> Value:
    """Mark an enumerated column whose rows lie together by symbol, and keep where they lie."""
    if parted is None or not isinstance(column, Enumerated):
        return column
    by_row = np.argsort(parted.starts, kind="stable")
    spans = Spans(_items(parted.ids[by_row]), parted.starts[by_row], parted.stops[by_row])
    remember_spans(column.data, spans)
    return Enumerated(column.domain, column.data, Attribute.PARTED)


def _items(ids: Array) -> Array:
    return np.where(ids < 0, -1, ids)
