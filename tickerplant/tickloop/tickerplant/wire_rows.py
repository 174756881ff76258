"""What peers publish, checked column by column before a row of it is taken."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import DAY_NS
from tickloop.core.dialects import q as q_dialect
from tickloop.core.dialects.numpy import null_of, nulls, surface_dtype
from tickloop.core.errors import SchemaError
from tickloop.core.schema import Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import q_values as q

# What a column of one q type also accepts. Python's whole numbers are longs, so these may become
# narrower, if they fit: no value changes.
_WIDENS: Mapping[str, frozenset[str]] = {
    "long": frozenset({"int", "short", "byte", "boolean"}),
    "int": frozenset({"long", "short", "byte", "boolean"}),
    "short": frozenset({"long", "int", "byte", "boolean"}),
    "byte": frozenset({"long", "int", "short"}),
    "float": frozenset({"real", "long", "int", "short"}),
    "real": frozenset({"int", "short"}),
}
_NULLS = {"short": -(2**15), "int": -(2**31), "long": -(2**63)}
_TYPE_NAMES = {number: name for name, number in q_dialect.NUMBERS.items()}
# Nanoseconds a unit of what counts from midnight.
_OF_DAY = {"timespan": 1, "time": 1_000_000, "second": 1_000_000_000, "minute": 60_000_000_000}
_TIMES = frozenset({"timestamp", "datetime", *_OF_DAY})
_DAYS_MAX = 106_751  # what nanoseconds since 2000 can count


def rows_from(
    table: Table, data: q.Value, symbols: Symbols, *, fractional: bool, today_ns: int
) -> Batch:
    """Read published rows: column vectors, the atoms of one row, a table, or a dictionary.

    `time` and `seq` may be left out; a time of day counts from `today_ns`. A general list of
    atoms, as Python lists arrive, counts as a vector; `::` in it is the null. SchemaError says
    which column, what was seen and what was expected.
    """
    found = _named_columns(table, data)
    found.pop("seq", None)
    if "sym" not in found:
        raise SchemaError(f"{table.name}: no column sym seen; name the instrument of each row")
    rows = q.count_of(found["sym"])
    for column in table.columns:
        if column.kind is Kind.TEXT and column.name in found:
            found[column.name] = _as_texts(found[column.name], rows)
    lengths = {name: q.count_of(value) for name, value in found.items()}
    if len(set(lengths.values())) > 1:
        raise SchemaError(f"length: {table.name}: columns of unequal length {lengths}")
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in found.items():
        # New names get ids last, when nothing else can be wrong with the rows.
        if name == "time":
            columns[name] = _times(table, value, today_ns)
        elif table.column(name).kind is not Kind.SYMBOL:
            columns[name] = _column(table, table.column(name), value, fractional=fractional)
    named = {name: _names(table, name, found[name]) for name in found if name not in columns}
    for name, names in named.items():
        columns[name] = symbols.ids(names)
    return Batch(table, columns)


def _named_columns(table: Table, data: q.Value) -> dict[str, q.Value]:
    if isinstance(data, (q.Table, q.Dictionary)):
        given = _named(data)
        unknown = [name for name in given if name not in table.names]
        if unknown:
            raise SchemaError(
                f"mismatch: {table.name} has no column {unknown[0]!r};"
                f" it has {', '.join(table.names)}"
            )
        return given
    values = _items(data)
    return dict(zip(_names_for(table, values), values, strict=True))


def _named(data: q.Table | q.Dictionary) -> dict[str, q.Value]:
    if isinstance(data, q.Table):
        return dict(zip(data.names.names, data.columns, strict=True))
    names, values = q.names_of(data.keys), _items(data.values)
    if names is None or len(names) != len(values):
        raise SchemaError("type: a dictionary of column names to columns expected")
    return dict(zip(names, values, strict=True))


def _items(data: q.Value) -> Sequence[q.Value]:
    if isinstance(data, q.List):
        return data.items
    # A row whose values share one type arrives as a vector of that type.
    if isinstance(data, q.Vector):
        return [q.Atom(data.type, value) for value in data.data.tolist()]
    if isinstance(data, q.SymbolVector):
        return [q.symbol(name) for name in data.names]
    raise SchemaError("type: a list of columns, the values of one row, or a table expected")


def _names_for(table: Table, values: Sequence[q.Value]) -> Sequence[str]:
    """Match values to columns by count: with time and seq, without one, or without both."""
    names = table.names
    if len(values) == len(names):
        return names
    if len(values) == len(names) - 1:
        return names[:-1] if _type_of(values[0]) in _TIMES else names[1:]
    if len(values) == len(names) - 2:
        return names[1:-1]
    raise SchemaError(
        f"length: {table.name}: {len(values)} columns seen; {len(names)} expected"
        f" ({', '.join(names)}), where time and seq may be left out"
    )


def _type_of(value: q.Value) -> str:
    """Name a value's q type; a general list has its first typed atom's."""
    if isinstance(value, q.SymbolVector):
        return "symbol"
    if isinstance(value, (q.Vector, q.Atom)):
        return _TYPE_NAMES[int(value.type)]
    if isinstance(value, q.List):
        return next((_type_of(item) for item in value.items if isinstance(item, q.Atom)), "")
    return ""


def _as_texts(value: q.Value, rows: int) -> q.Value:
    """Make a list of what a text column is given: q joins texts of one character to a vector."""
    if isinstance(value, q.SymbolVector):
        return q.List(tuple(map(q.symbol, value.names)))
    if not isinstance(value, q.Vector) or value.type is not q.QType.CHAR:
        return value
    if rows > 1 and rows == len(value):
        return q.List(tuple(q.Atom(q.QType.CHAR, char) for char in value.data.tolist()))
    return q.items(value)


def _array(value: q.Value) -> npt.NDArray[np.generic]:
    if isinstance(value, q.Vector):
        return value.data
    assert isinstance(value, q.Atom)
    dtype = q.DTYPES[value.type]
    raw = value.value
    return np.frombuffer(raw, dtype=dtype) if isinstance(raw, bytes) else np.array([raw], dtype)


def _times(table: Table, value: q.Value, today_ns: int) -> npt.NDArray[np.int64]:
    seen = _type_of(value)
    if seen not in _TIMES:
        raise SchemaError(
            f"type: {table.name}.time: {_shown(value)} seen, timestamp or timespan expected"
        )
    if isinstance(value, q.List):
        value = _gathered(table, table.column("time"), value, seen)
    raw = _array(value)
    if seen == "datetime":
        whole = np.isfinite(raw.astype(np.float64)) & (np.abs(raw.astype(np.float64)) < _DAYS_MAX)
        times = np.where(whole, raw.astype(np.float64) * DAY_NS, -(2.0**63)).astype(np.int64)
    else:
        times = raw.astype(np.int64)
    if (times == _NULLS.get("int" if raw.dtype.itemsize == 4 else "long")).any():
        raise SchemaError(f"{table.name}.time: a null seen; leave time out to have it stamped")
    if seen in _OF_DAY:
        times = times * _OF_DAY[seen]
        if ((times < 0) | (times >= DAY_NS)).any():
            raise SchemaError(f"range: {table.name}.time: a {seen} within one day expected")
        times = times + today_ns
    return times


def _column(
    table: Table, column: Column, value: q.Value, *, fractional: bool
) -> npt.NDArray[np.generic]:
    if column.kind is Kind.TEXT:
        return _texts(table, column, value)
    expected = q_dialect.type_name(column.kind, fractional=fractional)
    dtype = surface_dtype(column.kind, fractional=fractional)
    if expected == "char" and _type_of(value) == "symbol":
        value = _chars_of(table, column, value)
    if isinstance(value, q.List):
        return _from_list(table, column, value, expected, dtype)
    seen = _type_of(value)
    if not _fits(seen, expected):
        raise _mismatch(table, column, value, expected)
    return _converted(table, column, _array(value), seen, dtype)


def _chars_of(table: Table, column: Column, value: q.Value) -> q.Value:
    """Read Python's texts of one character, which arrive as symbols, as chars."""
    raw = [name.encode(errors="surrogateescape") for name in _names(table, column.name, value)]
    if any(len(name) > 1 for name in raw):
        raise _mismatch(table, column, value, "char")
    return q.chars(b"".join(name or b" " for name in raw))


def _fits(seen: str, expected: str) -> bool:
    return seen == expected or seen in _WIDENS.get(expected, frozenset())


def _mismatch(table: Table, column: Column, value: q.Value, expected: str) -> SchemaError:
    return SchemaError(
        f"type: {table.name}.{column.name}: {_shown(value)} seen, {expected} expected"
    )


def _shown(value: q.Value) -> str:
    if isinstance(value, q.List):
        return f"a list of {_type_of(value) or 'mixed values'}"
    return _type_of(value) or "no simple value"


def _from_list(
    table: Table, column: Column, value: q.List, expected: str, dtype: str
) -> npt.NDArray[np.generic]:
    """Read a general list of atoms; each may be of any type that the column accepts."""
    found = nulls(column.kind, len(value), dtype=dtype)
    for row, item in enumerate(value.items):
        if item == q.IDENTITY:
            continue
        if not isinstance(item, q.Atom) or not _fits(_type_of(item), expected):
            raise _mismatch(table, column, item, expected)
        seen = _type_of(item)
        found[row : row + 1] = _converted(table, column, _array(item), seen, dtype)
    return found


def _gathered(table: Table, column: Column, value: q.List, seen: str) -> q.Vector:
    """Make a vector of a general list of atoms of one type."""
    kind = q.QType(q_dialect.NUMBERS[seen])
    values = []
    for item in value.items:
        if not isinstance(item, q.Atom) or item.type is not kind:
            raise _mismatch(table, column, item, seen)
        values.append(item.value)
    return q.vector(kind, values)


def _names(table: Table, name: str, value: q.Value) -> list[str]:
    if isinstance(value, q.List):
        value = q.List(tuple(q.symbol("") if item == q.IDENTITY else item for item in value.items))
    names = q.names_of(value)
    if names is None:
        raise _mismatch(table, table.column(name), value, "symbol")
    return names


def _converted(
    table: Table, column: Column, values: npt.NDArray[np.generic], seen: str, dtype: str
) -> npt.NDArray[np.generic]:
    """Convert to the column's type; a null becomes the column's null, nothing else changes."""
    wanted = np.dtype(dtype)
    if values.dtype == wanted:
        return values
    found = values.astype(wanted)
    null = _NULLS.get(seen)
    is_null = np.zeros(len(values), np.bool_) if null is None else values == values.dtype.type(null)
    if wanted.kind in "iu":
        bad = ~is_null & (
            (found != values) | (found == _NULLS.get(q_dialect.TYPES[column.kind], 256))
        )
        if bad.any():
            raise SchemaError(
                f"range: {table.name}.{column.name}: {values[bad][0]} seen,"
                f" {_with_article(q_dialect.TYPES[column.kind])} expected"
            )
    if is_null.any():
        found[is_null] = null_of(column.kind, dtype)
    return found


def _with_article(kind: str) -> str:
    return f"an {kind}" if kind == "int" else f"a {kind}"


def _texts(table: Table, column: Column, value: q.Value) -> npt.NDArray[np.generic]:
    texts = []
    for item in value.items if isinstance(value, q.List) else [value]:
        # Python's str arrives as a symbol.
        text = "" if item == q.IDENTITY else q.text_of(item)
        text = q.name_of(item) if text is None else text
        if text is None:
            raise _mismatch(table, column, item, "string")
        texts.append(text.encode(errors="surrogateescape"))
    found = np.empty(len(texts), dtype="|O")
    found[:] = texts
    return found
