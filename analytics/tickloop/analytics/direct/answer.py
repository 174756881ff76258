"""A simple SELECT answered from the mapped columns: rows in blocks, in order, or one aggregate."""

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tickloop.analytics.arrow_parts import Dictionaries
from tickloop.analytics.direct.aggregates import Aggregate
from tickloop.analytics.direct.columns import arrow_type, as_arrow
from tickloop.analytics.direct.plan import Out, Plan, Wanted
from tickloop.analytics.direct.selection import Positions, Selection, selected, together
from tickloop.analytics.direct.sorting import ordered
from tickloop.analytics.pruning import Node
from tickloop.analytics.trace import note, traced
from tickloop.core.errors import QueryError
from tickloop.tickerplant.part import Part

if TYPE_CHECKING:
    import pyarrow as pa

_WHOLE = 1 << 16


class DirectAnswer:
    """One statement over parts that are pinned; rows are looked at once they are asked for.

    One thread at a time, except for `interrupt`.
    """

    def __init__(
        self,
        plan: Plan,
        wanted: Wanted,
        parts: Sequence[Part],
        dictionaries: Dictionaries,
        tree: Node,
    ) -> None:
        self.tree = tree
        self.columns = tuple((out.name, out.type) for out in plan.outs)
        self.rows_read = sum(part.rows for part in parts)
        self.plan = plan
        self.wanted = wanted
        self._parts = _alike_together(parts)
        self._dictionaries = dictionaries
        self._is_stopped = False

    @property
    def is_short(self) -> bool:
        """Tell whether at most a few rows come out."""
        limit = self.wanted.limit
        few = self.rows_read if limit is None else min(limit, self.rows_read)
        return self.plan.is_aggregate or few <= 1000

    @traced("answer", found=lambda table: table.num_rows)
    def table(self) -> "pa.Table":
        """Give all rows."""
        import pyarrow as pa

        note("mapped columns, without DuckDB")
        batches = list(self.batches(_WHOLE))
        return pa.Table.from_batches(batches) if batches else self._empty()

    def batches(self, rows: int) -> "Iterator[pa.RecordBatch]":
        """Give the rows, at most `rows` of them at a time; nothing where there are none."""
        if self.plan.is_aggregate:
            batch = self._aggregated()
            skipped = self.wanted.offset > 0 or self.wanted.limit == 0
            yield from () if skipped else (batch,)
        elif self.plan.keys:
            yield from self._in_order(rows)
        else:
            yield from self._as_they_lie(rows)

    def interrupt(self) -> None:
        """Stop; taking rows ends with QueryError."""
        self._is_stopped = True

    def close(self) -> None:
        """Let the parts go."""
        self._parts = []

    def _selected(self) -> Iterator[Selection]:
        for found in selected(self._parts, self.wanted.conditions, self._dictionaries):
            self._check()
            yield found

    def _check(self) -> None:
        if self._is_stopped:
            raise QueryError("INTERRUPT Error: Interrupted!")

    # Rows as they lie

    def _as_they_lie(self, rows: int) -> "Iterator[pa.RecordBatch]":
        skip, left = self.wanted.offset, self.wanted.limit
        if left == 0:
            return
        for found in self._selected():
            first = min(skip, found.rows)
            skip -= first
            stop = found.rows if left is None else min(found.rows, first + left)
            for start in range(first, stop, rows):
                self._check()
                yield self._batch(found.cut(start, min(start + rows, stop)))
            if left is not None:
                left -= stop - first
                if not left:
                    return

    def _batch(self, found: Selection) -> "pa.RecordBatch":
        return self._joined([self._arrays(found)])

    def _arrays(self, found: Selection) -> "list[pa.Array]":
        return [_array(out, found, self._dictionaries) for out in self.plan.outs]

    # Rows in order

    def _in_order(self, rows: int) -> "Iterator[pa.RecordBatch]":
        found, order = self._sorted()
        starts = np.cumsum([0, *(one.rows for one in found)])
        for first in range(0, len(order), rows):
            self._check()
            yield self._gathered(found, starts, order[first : first + rows])

    @traced("sort", found=lambda made: len(made[1]))
    def _sorted(self) -> tuple[list[Selection], Positions]:
        found = list(together(self._selected()))
        offset, limit = self.wanted.offset, self.wanted.limit
        order = ordered(self.plan.keys, found, None if limit is None else offset + limit)
        return found, order[offset:]

    def _gathered(
        self, found: Sequence[Selection], starts: Positions, places: Positions
    ) -> "pa.RecordBatch":
        """Take rows of several selections in the order of their places in all together."""
        if len(found) == 1:
            return self._batch(found[0].at(places))
        owner = np.searchsorted(starts, places, side="right") - 1
        pieces, order = [], []
        for number in np.unique(owner):
            mine = np.flatnonzero(owner == number)
            pieces.append(self._arrays(found[number].at(places[mine] - starts[number])))
            order.append(mine)
        back = np.argsort(np.concatenate(order), kind="stable") if len(pieces) > 1 else None
        return self._joined(pieces, back)

    def _joined(
        self, pieces: "Sequence[Sequence[pa.Array]]", order: Positions | None = None
    ) -> "pa.RecordBatch":
        import pyarrow as pa

        columns = [
            one[0] if len(one) == 1 else pa.concat_arrays(one) for one in zip(*pieces, strict=True)
        ]
        if order is not None:
            places = pa.array(order)
            columns = [column.take(places) for column in columns]
        return pa.RecordBatch.from_arrays(columns, names=[out.name for out in self.plan.outs])

    def _empty(self) -> "pa.Table":
        import pyarrow as pa

        fields = [(out.name, arrow_type(out.type)) for out in self.plan.outs]
        return pa.schema(fields).empty_table()

    # Aggregates

    @traced("aggregate", found=lambda batch: 1)
    def _aggregated(self) -> "pa.RecordBatch":
        import pyarrow as pa

        made = [Aggregate(out.aggregate, out.shown) for out in self.plan.outs]
        for found in self._selected():
            for one in made:
                one.add(found)
        arrays = []
        for out, one in zip(self.plan.outs, made, strict=True):
            value = one.value(out.type)
            if value is None and one.best is not None:
                value = _array(out, one.best, self._dictionaries)
            elif value is None:
                value = pa.nulls(1, arrow_type(out.type))
            arrays.append(value)
        return self._joined([arrays])


def _array(out: Out, found: Selection, dictionaries: Dictionaries) -> "pa.Array":
    assert out.shown is not None, out
    if out.shown.kind is None:
        values = np.zeros(found.rows, dtype=np.int8)
    else:
        values = found.values(out.shown.source)
    return as_arrow(out.shown, values, found.part, dictionaries)


def _alike_together(parts: Sequence[Part]) -> list[Part]:
    """Put parts that are stored alike together, as views join them."""
    grouped: dict[object, list[Part]] = {}
    for part in parts:
        key = tuple(
            (getattr(values, "dtype", None), id(part.names_of(name)))
            for name, values in part.columns.items()
        )
        grouped.setdefault(key, []).append(part)
    return list(itertools.chain.from_iterable(grouped.values()))
