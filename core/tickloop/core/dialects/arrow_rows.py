"""Surface rows in Arrow's spelling, a column at a time: nulls as null, symbols by name."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.dialects.arrow import schema
from tickloop.core.dialects.numpy import NULL_CHAR, null_of
from tickloop.core.schema import Column, Kind

if TYPE_CHECKING:
    import pyarrow as pa

_Values = npt.NDArray[Any]
_DAY_NS = 86_400_000_000_000
_EPOCH_DAY = EPOCH_UNIX_NS // _DAY_NS
_INTS = np.iinfo(np.int32)
_LONGS = np.iinfo(np.int64)
_DAYS_MAX = 90_000.0  # from 2000 in nanoseconds


def record_batch(rows: Batch, names: Sequence[str], *, fractional: bool) -> "pa.RecordBatch":
    """Spell surface rows; `names` are those of symbol ids.

    An instant or a day that Arrow's type does not reach, such as kdb+'s infinities, is null.
    """
    import pyarrow as pa

    wanted = schema(rows.table, fractional=fractional)
    arrays = [
        column_array(column, rows.columns[column.name], wanted.field(column.name).type, names)
        for column in rows.table.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=wanted)


def column_array(
    column: Column, values: _Values, kind: "pa.DataType", names: Sequence[str]
) -> "pa.Array":
    """Spell a column of surface rows as an Arrow type that is its kind's."""
    import pyarrow as pa

    meaning = _meaning(column.kind, values, names)
    if meaning is not None:
        return _few(values, meaning, kind)
    if column.kind in (Kind.FLAG, Kind.BYTE):
        return pa.array(values.astype(bool) if column.kind is Kind.FLAG else values, kind)
    if column.kind is Kind.DATETIME:
        near = np.abs(values) < _DAYS_MAX
        nanos = np.where(near, values, 0) * _DAY_NS
        return _shifted(nanos.astype(np.int64), near, EPOCH_UNIX_NS, kind)
    if values.dtype.kind == "f":
        return pa.array(values, kind, mask=np.isnan(values))
    is_known = values != null_of(column.kind, values.dtype.str)
    if column.kind is Kind.MONTH:
        months = np.datetime64("2000-01", "M") + np.where(is_known, values, 0).astype(np.int64)
        return _shifted(months.astype("datetime64[D]").astype(np.int64), is_known, 0, kind)
    scale = 60 if column.kind is Kind.MINUTE else 1
    shift = {Kind.INSTANT: EPOCH_UNIX_NS, Kind.DATE: _EPOCH_DAY}.get(column.kind, 0)
    return _shifted(values.astype(np.int64) * scale, is_known, shift, kind)


def _meaning(
    kind: Kind, values: _Values, names: Sequence[str]
) -> Callable[[Any], str | bytes | None] | None:
    """Say what a value of a kind that is no number means; None for one that is."""
    if values.dtype.kind in "SO":
        return lambda text: text.decode(errors="replace")
    return {
        Kind.SYMBOL: lambda id_: _text(names[id_]) or None if id_ >= 0 else None,
        Kind.CHAR: lambda code: chr(code) if code != NULL_CHAR else None,
        Kind.GUID: lambda guid: guid if any(guid) else None,
    }.get(kind)


def _text(name: str) -> str:
    """Give a name that is UTF-8: symbols may hold any bytes."""
    return name.encode(errors="replace").decode()


def _few(
    values: _Values, meaning: Callable[[Any], str | bytes | None], kind: "pa.DataType"
) -> "pa.Array":
    """Spell values of which many are alike."""
    import pyarrow as pa

    plain = values.tolist()
    distinct = {value: place for place, value in enumerate(dict.fromkeys(plain))}
    texts = pa.array([meaning(value) for value in distinct], kind)
    return texts.take(pa.array([distinct[value] for value in plain], pa.int32()))


def _shifted(
    values: _Values, is_known: npt.NDArray[np.bool_], shift: int, kind: "pa.DataType"
) -> "pa.Array":
    """Add what lies between two epochs, as far as the type reaches."""
    import pyarrow as pa

    limits = _INTS if kind.bit_width == 32 else _LONGS
    fits = (values >= limits.min + max(-shift, 0)) & (values <= limits.max - max(shift, 0))
    kept = is_known & fits
    longs = np.where(kept, values, 0).astype(np.int64) + shift
    width = pa.int32() if kind.bit_width == 32 else pa.int64()
    return pa.array(longs, pa.int64(), mask=~kept).cast(width).cast(kind)
