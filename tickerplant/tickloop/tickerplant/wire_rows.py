"""Rows to q tables and back: what peers publish is checked column by column before it is taken."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import DAY_NS
from tickloop.core.dialects import q as q_dialect
from tickloop.core.dialects.numpy import surface_dtype
from tickloop.core.errors import SchemaError
from tickloop.core.schema import Column, Kind, Table
from tickloop.core.symbols import Symbols
from tickloop.tickerplant import q_values as q
from tickloop.tickerplant.names import Names

# What a column of one q type also accepts, where no value can change its meaning.
_WIDENS: Mapping[str, frozenset[str]] = {
    "long": frozenset({"int", "short", "byte", "boolean"}),
    "int": frozenset({"short", "byte", "boolean"}),
    "short": frozenset({"byte", "boolean"}),
    "float": frozenset({"real", "long", "int", "short"}),
    "real": frozenset({"int", "short"}),
}
_NULLS = {"short": -(2**15), "int": -(2**31), "long": -(2**63)}
_TYPE_NAMES = {number: name for name, number in q_dialect.NUMBERS.items()}


def rows_from(
    table: Table, data: q.Value, symbols: Symbols, *, fractional: bool, today_ns: int
) -> Batch:
    """Read published rows: column vectors, the atoms of one row, or a table.

    `time` and `seq` may be left out; a timespan as time counts from `today_ns`. SchemaError says
    which column, what was seen and what was expected.
    """
    found = _named_columns(table, data)
    columns: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in found.items():
        column = table.column(name)
        if name == "seq":
            continue
        if name == "time":
            columns[name] = _times(table, value, today_ns)
        else:
            columns[name] = _column(table, column, value, symbols, fractional=fractional)
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        raise SchemaError(f"length: {table.name}: columns of unequal length {lengths}")
    if "sym" not in columns:
        raise SchemaError(f"{table.name}: no column sym seen; name the instrument of each row")
    return Batch(table, columns)


def _named_columns(table: Table, data: q.Value) -> dict[str, q.Value]:
    if isinstance(data, q.Table):
        given = dict(zip(data.names.names, data.columns, strict=True))
        unknown = [name for name in given if name not in table.names]
        if unknown:
            raise SchemaError(
                f"mismatch: {table.name} has no column {unknown[0]!r};"
                f" it has {', '.join(table.names)}"
            )
        return given
    values = _items(data)
    names = _names_for(table, values)
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
    """Match values to columns by count: with time and seq, without seq, or without both."""
    names = table.names
    if len(values) == len(names):
        return names
    if len(values) == len(names) - 1 and values and _is_time(values[0]):
        return names[:-1]
    if len(values) == len(names) - 2:
        return names[1:-1]
    raise SchemaError(
        f"length: {table.name}: {len(values)} columns seen; {len(names)} expected"
        f" ({', '.join(names)}), where time and seq may be left out"
    )


def _is_time(value: q.Value) -> bool:
    return _type_of(value) in ("timestamp", "timespan")


def _type_of(value: q.Value) -> str:
    if isinstance(value, q.SymbolVector):
        return "symbol"
    if isinstance(value, (q.Vector, q.Atom)):
        return _TYPE_NAMES[int(value.type)]
    return ""


def _array(value: q.Value) -> npt.NDArray[np.generic]:
    if isinstance(value, q.Vector):
        return value.data
    assert isinstance(value, q.Atom)
    dtype = q.DTYPES[value.type]
    raw = value.value
    return np.frombuffer(raw, dtype=dtype) if isinstance(raw, bytes) else np.array([raw], dtype)


def _times(table: Table, value: q.Value, today_ns: int) -> npt.NDArray[np.int64]:
    seen = _type_of(value)
    if seen not in ("timestamp", "timespan"):
        raise SchemaError(
            f"type: {table.name}.time: {seen or 'a list'} seen, timestamp or timespan expected"
        )
    times = _array(value).astype(np.int64)
    if seen == "timespan":
        if ((times < 0) | (times >= DAY_NS)).any():
            raise SchemaError(f"range: {table.name}.time: a timespan within one day expected")
        times = times + today_ns
    if (times == -(2**63)).any():
        raise SchemaError(f"{table.name}.time: a null seen; leave time out to have it stamped")
    return times


def _column(
    table: Table, column: Column, value: q.Value, symbols: Symbols, *, fractional: bool
) -> npt.NDArray[np.generic]:
    expected = q_dialect.type_name(column.kind, fractional=fractional)
    seen = _type_of(value)
    if column.kind is Kind.TEXT:
        return _texts(table, column, value)
    if seen != expected and seen not in _WIDENS.get(expected, frozenset()):
        raise SchemaError(
            f"type: {table.name}.{column.name}: {seen or 'a general list'} seen,"
            f" {expected} expected"
        )
    if expected == "symbol":
        names = value.names if isinstance(value, q.SymbolVector) else [q.name_of(value) or ""]
        return symbols.ids(names)
    return _widened(_array(value), seen, surface_dtype(column.kind, fractional=fractional))


def _widened(values: npt.NDArray[np.generic], seen: str, dtype: str) -> npt.NDArray[np.generic]:
    """Convert to a wider type; a narrow null becomes the wide one."""
    wide = values.astype(dtype)
    null = _NULLS.get(seen)
    if null is not None and values.dtype != np.dtype(dtype):
        is_null = values == np.array(null, dtype=values.dtype)
        if is_null.any():
            wide[is_null] = np.nan if wide.dtype.kind == "f" else np.iinfo(wide.dtype).min
    return wide


def _texts(table: Table, column: Column, value: q.Value) -> npt.NDArray[np.generic]:
    items = [value] if isinstance(value, (q.Vector, q.Atom)) else _items(value)
    texts = [q.text_of(item) for item in items]
    if any(text is None for text in texts):
        raise SchemaError(f"type: {table.name}.{column.name}: a list of strings expected")
    found = np.empty(len(texts), dtype="|O")
    found[:] = [(text or "").encode(errors="surrogateescape") for text in texts]
    return found


def table_of(
    table: Table, columns: Mapping[str, npt.NDArray[np.generic]], names: Names, *, fractional: bool
) -> q.Table:
    """Make a q table of surface rows."""
    made: dict[str, q.Value] = {}
    for column in table.columns:
        values = columns[column.name]
        if column.kind is Kind.SYMBOL:
            text = names.encode(values.astype(np.int32)).tobytes()
            made[column.name] = q.SymbolVector(text, len(values))
        elif column.kind is Kind.TEXT:
            made[column.name] = q.List(tuple(q.chars(text) for text in values.tolist()))
        else:
            number = q_dialect.type_number(column.kind, fractional=fractional)
            made[column.name] = q.vector(q.QType(number), values)
    return q.table(made)


def empty_of(table: Table, *, fractional: bool) -> q.Table:
    """Make a table's empty schema, grouped by symbol as kdb+ tickerplants answer it."""
    made: dict[str, q.Value] = {}
    for column in table.columns:
        grouped = q.Attribute.GROUPED if column.name == "sym" else q.Attribute.NONE
        if column.kind is Kind.SYMBOL:
            made[column.name] = q.SymbolVector(b"", 0, grouped)
        elif column.kind is Kind.TEXT:
            made[column.name] = q.List(())
        else:
            number = q_dialect.type_number(column.kind, fractional=fractional)
            made[column.name] = q.vector(q.QType(number), [])
    return q.table(made)


def meta_of(table: Table, *, fractional: bool) -> q.Dictionary:
    """Make what `meta` answers: columns c to type t, foreign key f, attribute a."""
    characters = "".join(
        q_dialect.type_character(column.kind, fractional=fractional) for column in table.columns
    )
    attributes = ["g" if column.name == "sym" else "" for column in table.columns]
    return q.Dictionary(
        q.table({"c": q.symbols(table.names)}),
        q.table(
            {
                "t": q.chars(characters),
                "f": q.symbols([""] * len(table.names)),
                "a": q.symbols(attributes),
            }
        ),
    )
