"""Columns as a view shows them: what is stored, the type that SQL gives it, its Arrow arrays."""

from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.arrow_parts import DATE, UNIX_DAYS, Dictionaries, symbol_array
from tickloop.analytics.direct.constants import ZONED
from tickloop.analytics.views import Spelled
from tickloop.core.clock import EPOCH_DATE, EPOCH_UNIX_NS
from tickloop.core.dialects.numpy import NULL_CHAR, NULL_INT, NULL_LONG, NULL_SHORT
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.part import Part

if TYPE_CHECKING:
    import pyarrow as pa

Values = npt.NDArray[Any]
_INFINITE = 2**63 - 1
_LAST_INSTANT = 2**63 - 2 - EPOCH_UNIX_NS
_NULLS = {
    Kind.LONG: NULL_LONG, Kind.SPAN: NULL_LONG, Kind.SIZE: NULL_LONG,
    Kind.INT: NULL_INT, Kind.SHORT: NULL_SHORT,
}  # fmt: skip
_FLOATS = frozenset({Kind.PRICE, Kind.FLOAT, Kind.REAL})
_SHOWN = frozenset({Kind.INSTANT, Kind.SYMBOL, Kind.CHAR, Kind.FLAG, Kind.BYTE, *_NULLS, *_FLOATS})


@dataclass(frozen=True, slots=True)
class Shown:
    """One column of a view; no kind is the session date, which parts have and rows do not."""

    name: str
    source: str
    kind: Kind | None
    type: str
    is_float: bool

    @property
    def is_known(self) -> bool:
        """Tell whether its values can be given here."""
        return self.kind is None or self.kind in _SHOWN


def shown_columns(table: Table, spelled: list[Spelled], *, fractional: bool) -> dict[str, Shown]:
    """Describe a view's columns, by their names in lower case."""
    kinds = {column.name: column.kind for column in table.columns}
    made = {}
    for one in spelled:
        kind = kinds.get(one.source)
        assert kind is not None or one.source == DATE, one
        is_float = kind in _FLOATS or (kind is Kind.SIZE and fractional)
        made[one.name.lower()] = Shown(one.name, one.source, kind, one.type, is_float)
    return made


def arrow_type(kind: str) -> "pa.DataType":
    """Give Arrow's type for SQL's, as DuckDB does."""
    import pyarrow as pa

    if kind == ZONED:
        return pa.timestamp("us", "UTC")
    return {
        "TIMESTAMP_NS": pa.timestamp("ns"), "BIGINT": pa.int64(), "INTEGER": pa.int32(),
        "SMALLINT": pa.int16(), "UTINYINT": pa.uint8(), "DOUBLE": pa.float64(),
        "FLOAT": pa.float32(), "BOOLEAN": pa.bool_(), "VARCHAR": pa.string(),
        "DATE": pa.date32(), "HUGEINT": pa.decimal128(38, 0),
    }[kind]  # fmt: skip


def as_arrow(shown: Shown, values: Values, part: Part, dictionaries: Dictionaries) -> "pa.Array":
    """Show stored values of a part as SQL does."""
    import pyarrow as pa

    kind = shown.kind
    if kind is None:
        return days(part.session, len(values))
    if kind is Kind.SYMBOL:
        return symbols(values, dictionaries.of(part.names_of(shown.source)))
    if shown.is_float:
        # NaN is the null.
        if not (values != values).any():
            return _as_it_lies(values)
        return pa.array(values, from_pandas=True)
    if kind is Kind.INSTANT:
        return _instants(values, shown.type)
    if kind is Kind.CHAR:
        return _characters().take(pa.array(values))
    if kind is Kind.FLAG:
        return pa.array(values != 0)
    null = _NULLS.get(kind)
    absent = None if null is None else values == null
    mask = absent if absent is not None and absent.any() else None
    return pa.array(values, mask=mask, type=arrow_type(shown.type))


def _as_it_lies(values: Values) -> "pa.Array":
    """View values that have no null: what `pa.array` looks at first costs more than few values."""
    import pyarrow as pa

    plain = np.ascontiguousarray(values)
    return pa.Array.from_buffers(
        pa.from_numpy_dtype(plain.dtype), len(plain), [None, pa.py_buffer(plain)]
    )


def symbols(ids: Values, names: "pa.Array") -> "pa.Array":
    """Write symbols out; ids without a name are null."""
    return symbol_array(ids, names).dictionary_decode()


def days(session: date | None, rows: int) -> "pa.Array":
    """Give rows the date of their part."""
    import pyarrow as pa

    day = None if session is None else (session - EPOCH_DATE).days + UNIX_DAYS
    one = pa.array([day], type=pa.int32()).cast(pa.date32())
    return one.take(pa.array(np.zeros(rows, np.int8)))


def _instants(values: Values, kind: str) -> "pa.Array":
    import pyarrow as pa

    absent = values == NULL_LONG
    with np.errstate(over="ignore"):
        since = values + EPOCH_UNIX_NS
        if kind == ZONED:
            since //= 1000
    # Infinite instants have their own numbers, at both ends.
    odd = (values > _LAST_INSTANT) | (values == -_INFINITE)
    if odd.any():
        since[odd] = np.where(values[odd] > 0, _INFINITE, -_INFINITE)
    return pa.array(since, mask=absent if absent.any() else None).view(arrow_type(kind))


_MADE: list["pa.Array"] = []


def _characters() -> "pa.Array":
    """Name every byte as a character; the blank is null."""
    import pyarrow as pa

    if not _MADE:
        texts = [None if code == NULL_CHAR else chr(code) for code in range(256)]
        _MADE.append(pa.array(texts, type=pa.string()))
    return _MADE[0]
