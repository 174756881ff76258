"""Window joins: aggregates of the rows of another table in a window around each row."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q import group_aggregates as aggregates
from tickloop.analytics.q.asof_join import columns_named
from tickloop.analytics.q.asof_kernels import window_bounds
from tickloop.analytics.q.blocks import BLOCKS
from tickloop.analytics.q.clause import apply, spelled
from tickloop.analytics.q.cores import cuts, together
from tickloop.analytics.q.errors import length_error, type_error
from tickloop.analytics.q.gather_kernels import gather, look
from tickloop.analytics.q.groups import Groups
from tickloop.analytics.q.join_columns import keyed_like, unkeyed
from tickloop.analytics.q.matching import matched, moments
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.rows import collected, take, take_or_null
from tickloop.analytics.q.values import (
    Atom,
    Builtin,
    QType,
    Table,
    Value,
    count_of,
    items_of,
    name_of,
    names_of,
)
from tickloop.analytics.trace import note, traced

Longs = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Windows:
    """The other table's rows of each window, with that table's columns in their order."""

    table: Table
    groups: Groups


@register("wj", rank=4, session=True)
def wj(session: Interpreter, bounds: Value, names: Value, left: Value, right: Value) -> Value:
    """Aggregate over windows; what held at a window's start counts as in it."""
    return _joined(session, (bounds, names, left, right), prevailing=True)


@register("wj1", rank=4, session=True)
def wj1(session: Interpreter, bounds: Value, names: Value, left: Value, right: Value) -> Value:
    """Aggregate over the rows that are in windows themselves."""
    return _joined(session, (bounds, names, left, right), prevailing=False)


def _joined(
    session: Interpreter, arguments: tuple[Value, Value, Value, Value], *, prevailing: bool
) -> Value:
    bounds, given_names, left, right = arguments
    names = names_of(given_names)
    parts = items_of(right)
    if not names or len(parts) < 2:
        raise type_error("windows, names, a table, and (table;(function;column);...) are needed")
    ours, theirs = unkeyed(left, "left"), unkeyed(parts[0], "right")
    windows = _windows(items_of(bounds), names, ours, theirs, prevailing=prevailing)
    columns = dict(zip(ours.names, ours.columns, strict=True))
    columns.update(_aggregated(session, windows, parts[1:]))
    return keyed_like(left, Table.of(columns))


@traced(
    "windows",
    about=lambda bounds, names, left, right, *, prevailing: ", ".join(names),
    given=lambda bounds, names, left, right, *, prevailing: len(left) + len(right),
    found=lambda windows: int(windows.groups.counts.sum()),
)
def _windows(
    bounds: Sequence[Value], names: Sequence[str], left: Table, right: Table, *, prevailing: bool
) -> Windows:
    *ours, _ = columns_named(left, names)
    *theirs, time = columns_named(right, names)
    if len(bounds) != 2:
        raise type_error("windows are a pair: the list of their starts and that of their ends")
    for side in bounds:
        if count_of(side) != len(left):
            raise length_error(count_of(side), len(left))
    lows, highs = moments(bounds[0], time), moments(bounds[1], time)
    if lows is None or highs is None:
        raise type_error(f"windows have to be of the type of the column {names[-1]}")
    keys = matched(ours, theirs, len(left), len(right))
    table, times = right, lows[1]
    note("linear merge of spans" if keys.order is None else "rows put in key order, then merged")
    if keys.order is not None:
        taken = take(right, keys.order)
        assert isinstance(taken, Table)
        table, times = taken, gather(times, keys.order)
    begins = BLOCKS.empty(len(left), np.int64)
    ends = BLOCKS.empty(len(left), np.int64)
    work = partial(window_bounds, look(lows[0]), look(highs[0]), look(keys.codes))
    rest = look(times), keys.starts, keys.stops, prevailing, begins, ends
    together([partial(work, a, b, *rest) for a, b in cuts(len(left))])
    return Windows(table, Groups.of_spans(len(table), begins, ends))


@traced("aggregate", found=lambda made: count_of(next(iter(made.values()))) if made else 0)
def _aggregated(
    session: Interpreter, windows: Windows, wanted: Sequence[Value]
) -> dict[str, Value]:
    """Aggregate columns over windows; kernels for all that are known run together."""
    named: dict[str, Value] = {}
    jobs: dict[str, aggregates.Job] = {}
    for item in wanted:
        function, *columns = items_of(item)
        names = [name_of(column) for column in columns]
        if not names or None in names:
            raise type_error("an aggregate is a pair: a function and the name of a column")
        values = columns_named(windows.table, [name for name in names if name is not None])
        job = _job(session, windows, function, values)
        if job is not None:
            jobs[str(names[-1])] = job
        else:
            named[str(names[-1])] = _one_by_one(session, windows, function, values)
    results = aggregates.run(windows.groups, list(jobs.values()))
    named.update(zip(jobs, results, strict=True))
    order = [str(name_of(items_of(item)[-1])) for item in wanted]
    return {name: named[name] for name in order}


def _job(
    session: Interpreter, windows: Windows, function: Value, columns: Sequence[Value]
) -> aggregates.Job | None:
    if not isinstance(function, Builtin) or spelled(function) not in aggregates.NAMES:
        return None
    name = spelled(function)
    if name in ("first", "last"):
        return _end(windows.groups, name, columns[0])
    kind: QType | None = None
    if name != "count":
        probe = apply(session, function, [take(column, slice(0, 1)) for column in columns])
        kind = probe.type if isinstance(probe, Atom) else None
    return aggregates.job(name, columns, windows.groups, kind)


def _end(groups: Groups, name: str, column: Value) -> aggregates.Job:
    """Take the first or last row of each window; null where it is empty."""

    def result() -> Value:
        rows = groups.starts if name == "first" else groups.stops - 1
        return take_or_null(column, np.where(groups.counts > 0, rows, -1))

    return aggregates.Job(lambda a, b: None, lambda: None, result)


def _one_by_one(
    session: Interpreter, windows: Windows, function: Value, columns: Sequence[Value]
) -> Value:
    note("called window by window")
    spans = zip(windows.groups.starts.tolist(), windows.groups.stops.tolist(), strict=True)
    results = [
        apply(session, function, [take(column, slice(a, b)) for column in columns])
        for a, b in spans
    ]
    if not results:
        return take(columns[-1], slice(0, 0))
    return collected(results)
