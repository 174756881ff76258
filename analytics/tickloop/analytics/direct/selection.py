"""Which rows of parts pass conditions: a range of rows where all do, positions elsewhere."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.arrow_parts import Dictionaries
from tickloop.analytics.direct.conditions import Condition, Days, Nulls, Ranges, Symbols
from tickloop.analytics.direct.shape import NotSimpleError
from tickloop.analytics.pruning import Dates, Filter
from tickloop.tickerplant.part import Part

Positions = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# Rows that are looked at in one go: between two such blocks a question can be stopped.
BLOCK_ROWS = 1 << 16


@dataclass(frozen=True)
class Selection:
    """Rows of a part from `first` to `stop`, of them those at `picked` if that is set."""

    part: Part
    first: int
    stop: int
    picked: Positions | None

    @cached_property
    def rows(self) -> int:
        """How many rows pass."""
        return self.stop - self.first if self.picked is None else len(self.picked)

    def values(self, column: str) -> npt.NDArray[Any]:
        """Give a column's stored values of the rows that pass."""
        values = stored(self.part, column)[self.first : self.stop]
        return values if self.picked is None else values[self.picked]

    def at(self, places: Positions) -> "Selection":
        """Take some of the rows that pass, in any order."""
        picked = places if self.picked is None else self.picked[places]
        return Selection(self.part, self.first, self.stop, picked)

    def cut(self, first: int, stop: int) -> "Selection":
        """Take the rows that pass from one to another."""
        if self.picked is None:
            return replace(self, first=self.first + first, stop=self.first + stop)
        return replace(self, picked=self.picked[first:stop])


def stored(part: Part, column: str) -> npt.NDArray[Any]:
    """Give a column of plain values."""
    values = part.columns[column]
    if not isinstance(values, np.ndarray):
        raise NotSimpleError
    return values


def filter_of(conditions: Sequence[Condition]) -> Filter:
    """Give the dates and symbols that conditions leave, for finding parts."""
    found = Filter()
    for one in conditions:
        if isinstance(one, Symbols) and one.column == "sym" and not one.others:
            names = {name for name in one.names if name is not None}
            if len(names) == len(one.names):
                found = found.both(Filter(symbols=frozenset(names)))
        elif isinstance(one, Days) and one.sign in ("=", "in"):
            days = one.days
            found = found.both(Filter(Dates(min(days), max(days), frozenset(days))))
        elif isinstance(one, Days) and one.sign in ("<", "<="):
            found = found.both(Filter(Dates(last=one.days[0])))
        elif isinstance(one, Days) and one.sign in (">", ">="):
            found = found.both(Filter(Dates(first=one.days[0])))
    return found


def selected(
    parts: Sequence[Part], conditions: Sequence[Condition], dictionaries: Dictionaries
) -> Iterator[Selection]:
    """Filter parts, a block of rows after the other; blocks of which nothing is left are absent."""
    days = [one for one in conditions if isinstance(one, Days)]
    others = [one for one in conditions if not isinstance(one, Days)]
    for part in parts:
        if not all(one.keeps(part.session) for one in days):
            continue
        for first in range(0, part.rows, BLOCK_ROWS):
            stop = min(first + BLOCK_ROWS, part.rows)
            found = _block(part, first, stop, others, dictionaries)
            if found.rows:
                yield found


def together(found: Iterable[Selection]) -> Iterator[Selection]:
    """Join the blocks of each part."""
    for _, blocks in itertools.groupby(found, key=lambda one: id(one.part)):
        listed = list(blocks)
        if len(listed) == 1:
            yield listed[0]
            continue
        first, stop = listed[0].first, listed[-1].stop
        if sum(one.rows for one in listed) == stop - first:
            yield Selection(listed[0].part, first, stop, None)
            continue
        picked = [
            np.arange(one.first, one.stop) if one.picked is None else one.first + one.picked
            for one in listed
        ]
        yield Selection(listed[0].part, 0, listed[0].part.rows, np.concatenate(picked))


def _block(
    part: Part, first: int, stop: int, conditions: Sequence[Condition], dictionaries: Dictionaries
) -> Selection:
    kept: Mask | None = None
    for one in conditions:
        values = stored(part, one.column)[first:stop] if not isinstance(one, Days) else None
        assert values is not None, one
        if isinstance(one, Symbols):
            passes = _of_symbols(one, values, part, dictionaries)
        else:
            assert isinstance(one, Ranges | Nulls), one
            passes = one.keeps(values)
        kept = passes if kept is None else kept & passes
    if kept is None or kept.all():
        return Selection(part, first, stop, None)
    return Selection(part, first, stop, np.flatnonzero(kept))


def _of_symbols(
    condition: Symbols, ids: npt.NDArray[Any], part: Part, dictionaries: Dictionaries
) -> Mask:
    names = part.names_of(condition.column)
    known = dictionaries.ids(names)
    wanted = [one for name in condition.names if name is not None for one in known.get(name, ())]
    if not condition.others and None not in condition.names and len(wanted) <= 1:
        return ids == wanted[0] if wanted else np.zeros(len(ids), dtype=np.bool_)
    passes = np.full(len(names) + 1, condition.others)
    passes[wanted] = not condition.others
    # The last place is the null's, which an empty name is too.
    nulls = [*known.get("", ()), len(names)]
    passes[nulls] = (None in condition.names) != condition.others
    return passes[np.where((ids >= 0) & (ids < len(names)), ids, len(names))]
