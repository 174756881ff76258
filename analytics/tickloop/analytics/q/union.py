"""Two dictionaries or tables as one: every key of either, what both have put together by a verb."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.errors import length_error, type_error
from tickloop.analytics.q.promotion import NUMERIC
from tickloop.analytics.q.units import cast
from tickloop.analytics.q.values import (
    DTYPES,
    NULLS,
    Array,
    Dictionary,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    Vector,
    collect,
    count_of,
    items_of,
    plain,
)

Positions = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Pair:
    """What to do with values of keys in both, and with those that are alone on one side."""

    both: Callable[[Value, Value], Value]
    alone: Callable[[bool, Value], Value] | None = None  # True: on the right only

    def one(self, on_right: bool, values: Value) -> Value:
        """Give the values of keys that the other side lacks."""
        return values if self.alone is None else self.alone(on_right, values)


def paired_tables(left: Table, right: Table, pair: Pair) -> Table:
    """Put two tables of equal count together column by column."""
    if len(left) != len(right):
        raise length_error(len(left), len(right))
    columns: dict[str, Value] = {}
    for name in dict.fromkeys((*left.names, *right.names)):
        if name not in right.names:
            columns[name] = pair.one(False, left.column(name))
        elif name not in left.names:
            columns[name] = pair.one(True, right.column(name))
        else:
            columns[name] = pair.both(left.column(name), right.column(name))
    return Table.of(columns)


def paired_dictionaries(left: Dictionary, right: Dictionary, pair: Pair) -> Dictionary:
    """Put two dictionaries or keyed tables together: keys of the left first, then new ones."""
    at = positions(left.keys, right.keys)
    new = np.flatnonzero(at < 0)
    if isinstance(left.values, Table) and isinstance(right.values, Table):
        values: Value = _tables(left.values, right.values, at, pair)
    elif isinstance(left.values, Table) or isinstance(right.values, Table):
        raise type_error("a keyed table and a dictionary seen, two of a kind needed")
    else:
        values = _lists(left.values, right.values, at, pair)
    return Dictionary(_joined(left.keys, take(right.keys, new)), values)


def _tables(left: Table, right: Table, at: Positions, pair: Pair) -> Table:
    columns: dict[str, Value] = {}
    for name in dict.fromkeys((*left.names, *right.names)):
        if name not in right.names:
            gap = _nulls_like(left.column(name), int((at < 0).sum()))
            columns[name] = _joined(left.column(name), gap)
        elif name not in left.names:
            column = right.column(name)
            old = np.full(len(left), -1)
            old[at[at >= 0]] = np.flatnonzero(at >= 0)
            columns[name] = _joined(_taken_or_null(column, old), take(column, at < 0))
        else:
            columns[name] = _lists(left.column(name), right.column(name), at, pair)
    return Table.of(columns)


def _lists(left: Value, right: Value, at: Positions, pair: Pair) -> Value:
    """Put values together; right item i belongs to left item at[i], to none where that is -1."""
    common = at >= 0
    lonely = np.ones(count_of(left), dtype=np.bool_)
    lonely[at[common]] = False
    rests = np.flatnonzero(lonely)
    both = pair.both(take(left, at[common]), take(right, np.flatnonzero(common)))
    parts = [
        pair.one(False, take(left, rests)),
        both,
        pair.one(True, take(right, np.flatnonzero(~common))),
    ]
    parts = [_widened(part, both) for part in parts]
    old = _joined(parts[0], parts[1])
    order = np.argsort(np.concatenate([rests, at[common]]), kind="stable")
    return _joined(take(old, order), parts[2])


def _widened(part: Value, like: Value) -> Value:
    """Give numbers the type of those that they are put beside."""
    if not isinstance(part, Vector) or not isinstance(like, Vector) or len(like) == 0:
        return part
    if part.type not in NUMERIC or like.type not in NUMERIC or part.type >= like.type:
        return part
    return Vector(like.type, cast(part.data, part.type, like.type))


def _joined(first: Value, second: Value) -> Value:
    """Append one list to another."""
    if isinstance(first, Table) and isinstance(second, Table):
        columns = zip(first.columns, second.columns, strict=True)
        return Table(first.names, tuple(_joined(one, other) for one, other in columns))
    if count_of(second) == 0:
        return first
    if count_of(first) == 0:
        return second
    if isinstance(first, Vector) and isinstance(second, Vector) and first.type is second.type:
        return Vector(first.type, np.concatenate([first.data, second.data]))
    return collect([*items_of(first), *items_of(second)])


def take(value: Value, at: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Value:
    """Give the items of a list at positions that it has, or where flags are set."""
    if isinstance(value, Vector):
        return Vector(value.type, value.data[at])
    if isinstance(value, Enumerated):
        return Enumerated(value.domain, value.data[at])
    if isinstance(value, Table):
        return Table(value.names, tuple(take(column, at) for column in value.columns))
    items = items_of(value)
    chosen = np.flatnonzero(at) if at.dtype == np.bool_ else at
    return collect([items[position] for position in chosen.tolist()])


def _taken_or_null(value: Value, at: Positions) -> Value:
    padded = _joined(value, _nulls_like(value, 1))
    return take(padded, np.where(at < 0, count_of(value), at))


def _nulls_like(value: Value, count: int) -> Value:
    value = plain(value)
    if isinstance(value, Vector):
        return Vector(value.type, np.full(count, NULLS[value.type], dtype=DTYPES[value.type]))
    return List(tuple(List(()) for _ in range(count)))


def positions(keys: Value, sought: Value) -> Positions:
    """Give for each sought item the first place of one like it among keys, -1 if there is none."""
    known, wanted = _codes(keys, sought)
    order = np.argsort(known, kind="stable")
    place = np.searchsorted(known, wanted, sorter=order)
    order = np.append(order, -1)
    found = order[place]
    matches = np.append(known, -1)[found] == wanted
    return np.where(matches & (found >= 0), found, -1)


def _codes(left: Value, right: Value) -> tuple[Array, Array]:
    """Number the items of two lists so that like items have like numbers."""
    left, right = plain(left), plain(right)
    if isinstance(left, Table) and isinstance(right, Table) and left.names == right.names:
        codes = np.zeros(len(left) + len(right), dtype=np.int64)
        for one, other in zip(left.columns, right.columns, strict=True):
            column = np.concatenate(_codes(one, other))
            mixed = codes * (int(column.max(initial=0)) + 1) + column
            codes = np.unique(mixed, return_inverse=True)[1]
    elif isinstance(left, Vector) and isinstance(right, Vector) and left.type is right.type:
        data = np.concatenate([left.data, right.data])
        if left.type is QType.GUID:
            data = data.view("S16")
        codes = np.unique(data, return_inverse=True)[1]
    else:
        codes = _numbered([*items_of(left), *items_of(right)])
    return codes[: count_of(left)], codes[count_of(left) :]


def _numbered(items: Sequence[Value]) -> Array:
    known: dict[Hashable, int] = {}
    numbers = [known.setdefault(_identity(item), len(known)) for item in items]
    return np.array(numbers, dtype=np.intp)


def _identity(value: Value) -> Hashable:
    """Give what two like values have in common."""
    value = plain(value)
    if isinstance(value, Vector):
        return (value.type, value.data.tobytes())
    if isinstance(value, List):
        return tuple(_identity(item) for item in value.items)
    if isinstance(value, Dictionary):
        return (_identity(value.keys), _identity(value.values))
    return value
