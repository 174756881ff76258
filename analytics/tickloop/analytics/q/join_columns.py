"""The columns of a join: the left table's, with the right table's values where a row matched."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.rows import as_table, keyed, take, take_or_null
from tickloop.analytics.q.values import (
    NULLS,
    Dictionary,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    Vector,
    collect,
    is_keyed_table,
    items_of,
    plain,
    type_of,
)

Codes = npt.NDArray[np.int32]


def merged(left: Table, right: Mapping[str, Value], rows: Codes, *, fill: bool) -> Table:
    """Add right columns by their rows; a column of both keeps the left value where none matched.

    With `fill` it also keeps the left value where the right one is null.
    """
    columns = dict(zip(left.names, left.columns, strict=True))
    known = rows >= 0
    matches_all = bool(known.all())
    for name, column in right.items():
        values = take(column, rows) if matches_all else take_or_null(column, rows)
        if name in columns and not (matches_all and not fill):
            values = _over(columns[name], values, known, fill=fill)
        columns[name] = values
    return Table.of(columns)


def _over(old: Value, new: Value, known: npt.NDArray[np.bool_], *, fill: bool) -> Value:
    if isinstance(old, Enumerated) and isinstance(new, Enumerated) and old.domain is new.domain:
        keep = known & (new.data >= 0) if fill else known
        return Enumerated(old.domain, np.where(keep, new.data, old.data))
    old, new = plain(old), plain(new)
    if isinstance(old, List) or isinstance(new, List):
        pairs = zip(items_of(old), items_of(new), known.tolist(), strict=True)
        return collect([other if use else one for one, other, use in pairs])
    if not isinstance(old, Vector) or not isinstance(new, Vector) or old.type is not new.type:
        raise QError("type", f"columns of types {type_of(old)}h and {type_of(new)}h cannot be one")
    keep = known & ~is_null(new) if fill else known
    return Vector(old.type, np.where(keep, new.data, old.data))


def is_null(column: Vector) -> npt.NDArray[np.bool_]:
    """Tell which values are null; booleans and bytes have none."""
    data = column.data
    if column.type in (QType.BOOLEAN, QType.BYTE):
        return np.zeros(len(data), dtype=np.bool_)
    if data.dtype.kind == "f":
        return np.isnan(data)
    if column.type is QType.GUID:
        return np.asarray(data == np.void(bytes(16)))
    return np.asarray(data == NULLS[column.type])


def unkeyed(value: Value, what: str) -> Table:
    """Give a table's rows; 'type for anything else."""
    table = as_table(value)
    if table is None:
        raise QError("type", f"{what}: a table is needed, a value of type {type_of(value)}h seen")
    return table


def keyed_like(value: Value, table: Table) -> Value:
    """Key a join's result as the left table was keyed."""
    if not is_keyed_table(value):
        return table
    assert isinstance(value, Dictionary)
    assert isinstance(value.keys, Table)
    return keyed(table, len(value.keys.names))
