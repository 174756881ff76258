"""Uniform functions within groups, over all rows at once: prev, next, deltas, differ, sums."""

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.clause import apply, spelled
from tickloop.analytics.q.gather_kernels import look
from tickloop.analytics.q.groups import Groups
from tickloop.analytics.q.join_columns import is_null
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.rows import lay_flat, take, take_or_null
from tickloop.analytics.q.span_kernels import span_running_sums
from tickloop.analytics.q.values import NULLS, Builtin, Enumerated, QType, Value, Vector, count_of

Longs = npt.NDArray[np.int64]

_KNOWN = frozenset({"prev", "next", "deltas", "ratios", "differ", "sums"})


def uniform_rows(session: Interpreter, head: Value, column: Value, groups: Groups) -> Value | None:
    """Apply a uniform function to every group's rows; None if it is none of those known here."""
    if not isinstance(head, Builtin) or not isinstance(column, Vector | Enumerated):
        return None
    if spelled(head) not in _KNOWN or not groups.count:
        return None
    rows = _rows(groups)
    ordered = column if rows is None else take(column, rows)
    starts = np.cumsum(groups.counts) - groups.counts
    found = _ordered(session, head, ordered, starts)
    if found is None or rows is None:
        return found
    return lay_flat(found, rows, groups.rows)


def _rows(groups: Groups) -> Longs | None:
    """Give rows by group; None where they are in that order already."""
    if not groups.together:
        return groups.order
    if bool((groups.starts[1:] == groups.stops[:-1]).all()) and groups.starts[0] == 0:
        return None
    begins = np.cumsum(groups.counts) - groups.counts
    rows: Longs = np.arange(groups.rows) + np.repeat(groups.starts - begins, groups.counts)
    return rows


def _ordered(session: Interpreter, head: Builtin, column: Value, starts: Longs) -> Value | None:
    """Apply to rows that are in the order of their groups, which begin at `starts`."""
    count, name = count_of(column), spelled(head)
    if name in ("prev", "next"):
        rows = np.arange(count) + (-1 if name == "prev" else 1)
        edges = starts if name == "prev" else np.append(starts[1:], count) - 1
        rows[edges] = -1
        return take_or_null(column, rows)
    if name == "sums":
        return _running_sums(column, starts)
    found = apply(session, head, [column])
    if not isinstance(found, Vector) or len(found) != count:
        return None
    data = found.data.copy()
    if name == "differ":
        data[starts] = True
    elif isinstance(column, Vector):
        first = Vector(column.type, column.data[starts])
        data[starts] = first.data.astype(data.dtype)
        data[starts[is_null(first)]] = NULLS[found.type]
    else:
        return None
    return Vector(found.type, data)


def _running_sums(column: Value, starts: Longs) -> Value | None:
    """Add floats up anew from every start; other types are left to their own verb."""
    if not isinstance(column, Vector) or column.type is not QType.FLOAT:
        return None
    out = np.empty(len(column))
    stops = np.append(starts[1:], len(column))
    span_running_sums(look(column.data), starts, stops, out)
    return Vector(QType.FLOAT, out)
