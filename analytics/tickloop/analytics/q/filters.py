"""Where clauses: each filter sees the rows that the ones before it left.

A first filter on an indexed column, such as sym=`A of a parted table, costs no pass over it.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.clause import Scope, constant, evaluate
from tickloop.analytics.q.column_index import Spans, known_spans, remembered
from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.interned import INTERNED
from tickloop.analytics.q.rows import Rows
from tickloop.analytics.q.tree_text import tree_text
from tickloop.analytics.q.values import (
    NULLS,
    Array,
    Atom,
    Attribute,
    Builtin,
    Enumerated,
    EnumeratedAtom,
    List,
    QType,
    Value,
    Vector,
    is_function,
    name_of,
    names_of,
)
from tickloop.analytics.trace import note, traced

Longs = npt.NDArray[np.int64]


def filtered(scope: Scope, filters: Sequence[Value]) -> Scope:
    """Apply filters from the first to the last; give the scope of the rows that pass all."""
    for tree in filters:
        scope = _passing(scope, tree)
    return scope


@traced(
    "filter",
    about=lambda scope, tree: tree_text(tree),
    given=lambda scope, tree: scope.count,
    found=lambda scope: scope.count,
)
def _passing(scope: Scope, tree: Value) -> Scope:
    rows = _by_index(scope, tree)
    return scope.narrowed(_by_value(scope, tree) if rows is None else rows)


def _by_value(scope: Scope, tree: Value) -> Rows | None:
    note("evaluated for every row that is left")
    found = evaluate(tree, scope)
    if isinstance(found, Atom) and found.type is QType.BOOLEAN:
        return scope.rows if found.value else slice(0, 0)
    if isinstance(found, List) and not found.items and not scope.count:
        return scope.rows
    if not isinstance(found, Vector):
        raise type_error("a filter has to give a boolean for each row")
    if found.type is QType.BOOLEAN:
        if len(found) != scope.count:
            raise QError("length", f"{len(found)} booleans seen for {scope.count} rows")
        places = np.flatnonzero(found.data)
    elif found.type in (QType.LONG, QType.INT):
        places = found.data.astype(np.int64)
        if len(places) and not 0 <= int(places.min()) <= int(places.max()) < scope.count:
            raise QError("index", f"row numbers from 0 to {scope.count - 1} are there")
    else:
        raise type_error("a filter has to give a boolean for each row")
    if isinstance(scope.rows, np.ndarray):
        return np.asarray(scope.rows[places])
    return (
        places + scope.rows.start if isinstance(scope.rows, slice) and scope.rows.start else places
    )


def _by_index(scope: Scope, tree: Value) -> Rows | None:
    """Answer a filter from an index or by bisection; None if it has to be evaluated."""
    if not isinstance(tree, List) or len(tree.items) != 3:
        return None
    head, left, right = tree.items
    if not isinstance(head, Builtin) or head.name not in _ANSWERS:
        return None
    name = None if constant(left) is not None else name_of(left)
    if name is None or name not in scope.table.names:
        return None
    column = scope.table.column(name)
    if not isinstance(column, Vector | Enumerated) or column.attribute is Attribute.NONE:
        return None
    if scope.rows is not None:
        return None
    wanted = _wanted(right, scope)
    return None if wanted is None else _ANSWERS[head.name](column, wanted)


def _wanted(tree: Value, scope: Scope) -> Value | None:
    """Evaluate the other side of a filter if no column is in it."""
    known = constant(tree)
    if known is not None:
        return None if is_function(known) else known
    if isinstance(tree, Atom) and scope.column(str(tree.value)) is None:
        return scope.session.get(str(tree.value))
    return None


def _equal(column: Vector | Enumerated, wanted: Value) -> Rows | None:
    items = stored_items(column, wanted)
    if items is None or not isinstance(wanted, Atom | EnumeratedAtom):
        return None
    return _rows_of(column, items)


def _in(column: Vector | Enumerated, wanted: Value) -> Rows | None:
    items = stored_items(column, wanted)
    return None if items is None else _rows_of(column, items)


def _rows_of(column: Vector | Enumerated, items: Sequence[Any]) -> Rows | None:
    spans = known_spans(column)
    if spans is None:
        return None
    found = [(spans, spans.rows_of(item)) for item in dict.fromkeys(items)]
    note("offsets of p# or s#" if spans.order is None else "index of g#")
    if len(found) == 1 and spans.order is None:
        return found[0][1]
    rows = [_span_rows(spans, span) for _, span in found if span.stop > span.start]
    if not rows:
        return slice(0, 0)
    return np.sort(np.concatenate(rows)) if len(rows) > 1 else rows[0]


def _span_rows(spans: Spans, span: slice) -> Longs:
    if spans.order is not None:
        return spans.order[span]
    return np.arange(span.start, span.stop, dtype=np.int64)


def stored_items(column: Vector | Enumerated, wanted: Value) -> list[Any] | None:
    """Give what a column's array holds for wanted values; None where types differ."""
    if isinstance(column, Enumerated) or column.type is QType.SYMBOL:
        names = names_of(wanted)
        if names is None:
            return None
        ids = [INTERNED.find(name) for name in names]
        return ids if isinstance(column, Vector) else _positions(column, ids)
    if isinstance(wanted, Atom) and wanted.type is column.type and _is_exact(column):
        return [wanted.value]
    if isinstance(wanted, Vector) and wanted.type is column.type and _is_exact(column):
        items: list[Any] = wanted.data.tolist()
        return items
    return None


def _is_exact(column: Vector) -> bool:
    return column.data.dtype.kind == "i"


def _positions(column: Enumerated, ids: Sequence[int]) -> list[Any] | None:
    if 0 in ids or not column.domain.is_symbolic:
        return None  # a null symbol may be spelled by any negative position
    symbols = column.domain.symbols()
    known = remembered(symbols, "positions", lambda: _by_id(symbols))
    return [known[symbol_id] for symbol_id in ids if symbol_id in known]


def _by_id(symbols: Array) -> dict[int, int]:
    return {symbol_id: position for position, symbol_id in enumerate(symbols.tolist())}


def _within(column: Vector | Enumerated, wanted: Value) -> Rows | None:
    if column.attribute is not Attribute.SORTED or not isinstance(column, Vector):
        return None
    if not isinstance(wanted, Vector) or wanted.type is not column.type or len(wanted) != 2:
        return None
    return (
        None if column.type is QType.SYMBOL else _bisected(column, wanted.data[0], wanted.data[1])
    )


def _compared(name: str, column: Vector | Enumerated, wanted: Value) -> Rows | None:
    is_sorted = column.attribute is Attribute.SORTED and isinstance(column, Vector)
    if not is_sorted or not isinstance(wanted, Atom) or not isinstance(column, Vector):
        return None
    if wanted.type is not column.type or column.data.dtype.kind != "i" or not _is_exact(column):
        return None
    if column.type is QType.SYMBOL:
        return None
    note("bisection")
    side = {"<": "left", ">=": "left", "<=": "right", ">": "right"}[name]
    at = int(np.searchsorted(column.data, column.data.dtype.type(wanted.value), side=side))  # type: ignore[call-overload]
    return slice(0, at) if name[0] == "<" else slice(at, len(column))


def _bisected(column: Vector, low: Any, high: Any) -> Rows | None:
    if column.data.dtype.kind != "i" or NULLS[column.type] in (low, high):
        return None
    note("bisection")
    first = int(np.searchsorted(column.data, low, side="left"))
    stop = int(np.searchsorted(column.data, high, side="right"))
    return slice(first, max(first, stop))


_ANSWERS: dict[str, Callable[[Vector | Enumerated, Value], Rows | None]] = {
    "=": _equal,
    "in": _in,
    "within": _within,
    **{name: partial(_compared, name) for name in ("<", "<=", ">", ">=")},
}
