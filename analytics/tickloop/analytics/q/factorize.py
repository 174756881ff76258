"""Codes for equal items: small integers in the order in which items first appear."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.factorize_kernels import (
    code_by_hash,
    code_by_table,
    find_by_hash,
    find_by_table,
    scatter_by_code,
)
from tickloop.analytics.q.identity import identity
from tickloop.analytics.q.kinds import FLOATING, Positions, exact_bits
from tickloop.analytics.q.values import (
    Array,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    Vector,
    items_of,
    plain,
)

# A counting table is faster than a hash table as long as it stays about as long as the list.
_TABLE_PER_ITEM = 4
_TABLE_ALWAYS = 1 << 16


@dataclass(frozen=True, slots=True)
class Codes:
    """Each item's code, and where each code first appears."""

    codes: Positions
    firsts: Positions


@dataclass(frozen=True, slots=True)
class Groups:
    """Positions by code: those of code c are order[starts[c]:starts[c + 1]], ascending."""

    order: Positions
    starts: Positions


def factorize(value: Value) -> Codes:
    """Code the items of a list, the rows of a table."""
    if isinstance(value, Enumerated):
        return _code_column(np.ascontiguousarray(value.data.astype(np.int64)))
    if isinstance(value, Vector):
        if value.type is QType.GUID:
            return _combined(list(guid_halves(value.data)))
        return _code_column(exact_numbers(value))
    if isinstance(value, Table):
        return _code_table(value)
    return _code_items(value)


def _code_items(value: Value) -> Codes:
    """Code a general list by the identity of its items."""
    codes_by_key: dict[object, int] = {}
    codes: list[int] = []
    firsts: list[int] = []
    for position, item in enumerate(items_of(value)):
        code = codes_by_key.setdefault(identity(item), len(firsts))
        if code == len(firsts):
            firsts.append(position)
        codes.append(code)
    return Codes(np.array(codes, dtype=np.int64), np.array(firsts, dtype=np.int64))


def _code_table(value: Table) -> Codes:
    columns = [factorize(column) for column in value.columns]
    if len(columns) == 1:
        return columns[0]
    return _combined([column.codes for column in columns])


def _combined(columns: list[Positions]) -> Codes:
    """Code the combinations that stand side by side in columns of integers."""
    coded = _code_column(columns[0])
    for column in columns[1:]:
        right = _code_column(column)
        coded = _code_column(coded.codes * max(len(right.firsts), 1) + right.codes)
    return coded


def _code_column(numbers: Array) -> Codes:
    count = len(numbers)
    codes = np.empty(count, dtype=np.int64)
    firsts = np.empty(count, dtype=np.int64)
    if not count:
        return Codes(codes, firsts)
    low, width = _range(numbers)
    if width <= max(_TABLE_PER_ITEM * count, _TABLE_ALWAYS):
        table = np.full(width, -1, dtype=np.int64)
        distinct = code_by_table(numbers, low, table, codes, firsts)
    else:
        distinct = code_by_hash(numbers, _slots(count), codes, firsts)
    return Codes(codes, firsts[:distinct].copy())


def _range(numbers: Array) -> tuple[int, int]:
    low, high = int(numbers.min()), int(numbers.max())
    return low, high - low + 1


def _slots(count: int) -> Positions:
    return np.full(1 << max(4, (2 * count - 1).bit_length()), -1, dtype=np.int64)


def exact_numbers(value: Vector) -> Array:
    """Give a vector as int32 or int64 numbers that are equal where its items are."""
    if value.type in FLOATING:
        return exact_bits(value.data)
    data = value.data
    if data.dtype.itemsize < 4:
        return data.astype(np.int32)
    return np.ascontiguousarray(data)


def guid_halves(data: Array) -> tuple[Positions, Positions]:
    """Give guids as two columns of integers."""
    halves = np.ascontiguousarray(data).view(np.int64).reshape(-1, 2)
    return halves[:, 0].copy(), halves[:, 1].copy()


def group(codes: Codes) -> Groups:
    """Sort positions by code, keeping their order within a code."""
    counts = np.bincount(codes.codes, minlength=len(codes.firsts))
    starts = np.zeros(len(codes.firsts) + 1, dtype=np.int64)
    np.cumsum(counts, out=starts[1:])
    order = np.empty(len(codes.codes), dtype=np.int64)
    scatter_by_code(codes.codes, starts.copy(), order)
    return Groups(order, starts)


def first_positions(haystack: Array, needles: Array) -> Positions:
    """Find where each needle first stands in a haystack of numbers; its length where nowhere."""
    found = np.full(len(needles), len(haystack), dtype=np.int64)
    if not len(haystack) or not len(needles):
        return found
    if len(needles) == 1:
        hits = np.flatnonzero(haystack == needles[0])
        return hits[:1].astype(np.int64) if len(hits) else found
    if haystack.dtype != needles.dtype:
        haystack, needles = haystack.astype(np.int64), needles.astype(np.int64)
    low, width = _range(haystack)
    if width <= max(_TABLE_PER_ITEM * (len(haystack) + len(needles)), _TABLE_ALWAYS):
        table = np.full(width, -1, dtype=np.int64)
        find_by_table(haystack, needles, low, table, found)
    else:
        find_by_hash(haystack, needles, _slots(len(haystack)), found)
    return found


def paired_numbers(left: Value, right: Value) -> tuple[Array, Array]:
    """Give two lists of any one type as numbers that are equal where their items are."""
    left, right = plain(left), plain(right)
    if isinstance(left, Vector) and isinstance(right, Vector) and left.type is right.type:
        if left.type is not QType.GUID:
            return exact_numbers(left), exact_numbers(right)
        joined = factorize(Vector(QType.GUID, np.concatenate([left.data, right.data])))
        return joined.codes[: len(left)], joined.codes[len(left) :]
    if isinstance(left, Table) and isinstance(right, Table):
        return _paired_rows(left, right)
    joined = _code_items(List((*items_of(left), *items_of(right))))
    count = len(items_of(left))
    return joined.codes[:count], joined.codes[count:]


def _paired_rows(left: Table, right: Table) -> tuple[Array, Array]:
    """Code rows of two tables alike; the columns of the right are found by name."""
    pairs = [
        paired_numbers(column, right.column(name))
        for name, column in zip(left.names, left.columns, strict=True)
    ]
    if len(pairs) == 1:
        return pairs[0]
    columns = [np.concatenate([ours.astype(np.int64), theirs]) for ours, theirs in pairs]
    codes: npt.NDArray[np.int64] = _combined(columns).codes
    return codes[: len(left)], codes[len(left) :]
