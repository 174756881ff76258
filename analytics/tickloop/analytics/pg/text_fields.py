"""Arrow columns in PostgreSQL's text format, a column at a time."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.analytics.pg import oids
from tickloop.analytics.pg.fields import NULL, Fields, of_list, of_strings, patched, valid_of
from tickloop.analytics.pg.oids import PgType, WireType
from tickloop.analytics.pg.row_kernels import (
    DECIMAL_WIDTH,
    ODD,
    TIMESTAMP_WIDTH,
    decimals,
    timestamps,
)

_INFINITE = 2**63 - 1
_INFINITE_DAY = 2**31 - 1
_UNIT_US = {"s": 1_000_000, "ms": 1000, "us": 1}
_EXPONENT = ord("E")
# Below this many rows, Arrow's way takes longer than one value after the other.
_FEW = 8
_PLAIN = frozenset("0123456789.-")


def text_fields(array: Any, wire: WireType) -> Fields:
    """Spell a column's values as text."""
    if wire.is_array:
        return of_list(_arrays(array, wire.item))
    return _SPELLERS.get(wire.item.oid, of_strings)(array)


def microseconds(array: Any) -> npt.NDArray[np.int64]:
    """Give timestamps as microseconds since 1970, cut; DuckDB's infinities stay ±(2**63 - 1)."""
    import pyarrow as pa

    unit = array.type.unit
    raw: npt.NDArray[np.int64] = filled(array.cast(pa.int64()), 0)
    finite = np.abs(raw) != _INFINITE
    scaled = raw // 1000 if unit == "ns" else raw * np.where(finite, _UNIT_US[unit], 1)
    return np.where(finite, scaled, raw)


def _booleans(array: Any) -> Fields:
    return of_list([None if value is None else b"t" if value else b"f" for value in array.to_pylist()])  # noqa: E501  # fmt: skip


def _integers(array: Any) -> Fields:
    import pyarrow as pa

    return of_strings(array.cast(pa.string()))


def _floats(array: Any) -> Fields:
    """Spell the shortest text that reads back; Arrow differs where there is an exponent."""
    import pyarrow as pa

    single = array.type.bit_width == 32
    if len(array) <= _FEW:
        return of_list(
            [None if value is None else _float(value, single=single) for value in _few(array)]
        )
    values = filled(array, 0)
    if not single:
        return _doubles(values, array)
    fields = of_strings(array.cast(pa.string()))
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        usual = ((size >= 1e-3) & (size < (1e6 if single else 1e13))) | (size == 0)
    odd = np.flatnonzero(~usual)
    return patched(fields, odd, [_float(values[place], single=single) for place in odd])


def _doubles(values: npt.NDArray[np.float64], array: Any) -> Fields:
    """Spell doubles: those of few decimal places by a kernel, others one by one or as zero."""
    out = np.empty(len(values) * DECIMAL_WIDTH, dtype=np.uint8)
    lengths = np.empty(len(values), dtype=np.int32)
    decimals(np.ascontiguousarray(values), out, lengths)
    odd = np.flatnonzero(lengths == ODD)
    fields = Fields(out, np.arange(len(values), dtype=np.int64) * DECIMAL_WIDTH, lengths)
    if len(odd):
        fields = patched(fields, odd, _spelled(values[odd]))
    valid = valid_of(array)
    if valid is not None:
        fields.lengths[~valid] = NULL
    return fields


def _spelled(values: npt.NDArray[np.float64]) -> list[bytes]:
    """Spell doubles by Arrow, and those with an exponent one by one."""
    import pyarrow as pa

    made = of_strings(pa.array(values).cast(pa.string())).to_list()
    size = np.abs(values)
    with np.errstate(invalid="ignore"):
        usual = ((size >= 1e-3) & (size < 1e9)) | (size == 0)
    for place in np.flatnonzero(~usual):
        made[place] = _float(values[place], single=False)
    return [text or b"" for text in made]


def filled(array: Any, value: object) -> npt.NDArray[Any]:
    """Give values with something else in the place of nulls."""
    found: npt.NDArray[Any] = (array if array.null_count == 0 else array.fill_null(value)).to_numpy(
        zero_copy_only=False
    )
    return found


def _few(array: Any) -> list[Any]:
    """Give values one by one; those of 32 bits as NumPy's, which know how few digits they need."""
    if array.type.bit_width == 64:
        return list(array.to_pylist())
    return [None if value is None else np.float32(value) for value in array.to_pylist()]


def _float(value: Any, *, single: bool) -> bytes:
    if np.isnan(value):
        return b"NaN"
    if np.isinf(value):
        return b"Infinity" if value > 0 else b"-Infinity"
    text = str(value)
    # Python spells what is neither tiny nor huge as PostgreSQL does, but for a last .0.
    if "e" not in text and ((single and abs(value) < 1e6) or (not single and abs(value) < 1e15)):
        return text.removesuffix(".0").encode()
    exact = Decimal(text)
    exponent = exact.adjusted()
    digits = "".join(map(str, exact.as_tuple().digits)).rstrip("0") or "0"
    if -4 <= exponent < (6 if single else 15):
        return f"{exact:f}".encode() if "." not in f"{exact:f}" else f"{exact:f}".rstrip("0").rstrip(".").encode()  # noqa: E501  # fmt: skip
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    sign = "-" if value < 0 else ""
    return f"{sign}{digits[0]}{fraction}e{exponent:+03d}".encode()


def _numerics(array: Any) -> Fields:
    """Spell every digit; Arrow uses an exponent for what is nearly nothing."""
    import pyarrow as pa

    fields = of_strings(array.cast(pa.string()))
    if not (fields.heap == _EXPONENT).any():
        return fields
    values = fields.to_list()
    odd = [place for place, value in enumerate(values) if value is not None and b"E" in value]
    spelled = [f"{Decimal((values[place] or b'').decode()):f}".encode() for place in odd]
    return patched(fields, np.array(odd, dtype=np.intp), spelled)


def _dates(array: Any) -> Fields:
    import pyarrow as pa

    days = array.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
    infinite = np.flatnonzero(np.abs(days) == _INFINITE_DAY)
    safe = pa.array(np.where(np.abs(days) == _INFINITE_DAY, 0, days).astype(np.int32))
    spelled = of_strings(safe.cast(pa.date32()).cast(pa.string()))
    spelled = Fields(spelled.heap, spelled.starts, _with_nulls(spelled.lengths, array))
    return patched(spelled, infinite, [_infinity(days[place]) for place in infinite])


def _timestamps(array: Any) -> Fields:
    micros = microseconds(array)
    infinite = np.flatnonzero(np.abs(micros) == _INFINITE)
    out = np.empty(len(micros) * TIMESTAMP_WIDTH, dtype=np.uint8)
    lengths = np.empty(len(micros), dtype=np.int32)
    safe = np.where(np.abs(micros) == _INFINITE, 0, micros)
    timestamps(safe, array.type.tz is not None, out, lengths)
    starts = np.arange(len(micros), dtype=np.int64) * TIMESTAMP_WIDTH
    fields = Fields(out, starts, _with_nulls(lengths, array))
    return patched(fields, infinite, [_infinity(micros[place]) for place in infinite])


def _infinity(value: int) -> bytes:
    return b"infinity" if value > 0 else b"-infinity"


def _with_nulls(lengths: npt.NDArray[np.int32], array: Any) -> npt.NDArray[np.int32]:
    valid = valid_of(array)
    return lengths if valid is None else np.where(valid, lengths, -1).astype(np.int32)


def _times(array: Any) -> Fields:
    import pyarrow as pa
    import pyarrow.compute as pc

    text = array.cast(pa.time64("us")).cast(pa.string())
    return of_strings(pc.utf8_rtrim(pc.utf8_rtrim(text, "0"), "."))


def _bytes(array: Any) -> Fields:
    return of_list(
        [None if value is None else b"\\x" + value.hex().encode() for value in array.to_pylist()]
    )


def _intervals(array: Any) -> Fields:
    return of_list([None if value is None else interval(*value) for value in array.to_pylist()])


def interval(months: int, days: int, nanoseconds: int) -> bytes:
    """Spell a span of time as PostgreSQL does: `1 year 2 mons 3 days 04:05:06.7`."""
    years, months = int(months / 12), int(np.fmod(months, 12))
    parts = [
        f"{count} {name}{'' if count == 1 else 's'}"
        for count, name in ((years, "year"), (months, "mon"), (days, "day"))
        if count
    ]
    if nanoseconds or not parts:
        seconds, micros = divmod(abs(nanoseconds) // 1000, 1_000_000)
        sign = "-" if nanoseconds < 0 else ""
        fraction = f".{micros:06d}".rstrip("0") if micros else ""
        parts.append(f"{sign}{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}{fraction}")  # noqa: E501  # fmt: skip
    return " ".join(parts).encode()


def _documents(array: Any) -> Fields:
    import pyarrow as pa

    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return of_strings(array)
    return of_list([None if value is None else _document(value) for value in array.to_pylist()])


def _document(value: object) -> bytes:
    if isinstance(value, list) and value and all(isinstance(item, tuple) for item in value):
        value = dict(value)  # a map
    return json.dumps(_plain(value), default=str, ensure_ascii=False).encode()


def _plain(value: object) -> object:
    """Give what JSON has a spelling for; its numbers know no NaN and no infinity."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    return value


def _arrays(array: Any, item: PgType) -> list[bytes | None]:
    """Spell lists as {a,b}, quoting what needs it."""
    wire = WireType(item.oid, item.size, -1, item, is_array=False)
    rows = array.to_pylist()
    flat = array.flatten()
    values = iter([_item(value) for value in text_fields(flat, wire).to_list()])
    return [
        None if row is None else b"{" + b",".join(next(values) for _ in row) + b"}" for row in rows
    ]


def _item(value: bytes | None) -> bytes:
    if value is None:
        return b"NULL"
    text = value.decode(errors="replace")
    if text and _PLAIN.issuperset(text):
        return value
    if not text or text.upper() == "NULL" or any(c in '{}",\\' or c.isspace() for c in text):
        return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return value


_SPELLERS: dict[int, Callable[[Any], Fields]] = {
    oids.BOOL.oid: _booleans,
    oids.BYTEA.oid: _bytes,
    oids.INT2.oid: _integers,
    oids.INT4.oid: _integers,
    oids.INT8.oid: _integers,
    oids.OID.oid: _integers,
    oids.FLOAT4.oid: _floats,
    oids.FLOAT8.oid: _floats,
    oids.NUMERIC.oid: _numerics,
    oids.DATE.oid: _dates,
    oids.TIME.oid: _times,
    oids.TIMESTAMP.oid: _timestamps,
    oids.TIMESTAMPTZ.oid: _timestamps,
    oids.INTERVAL.oid: _intervals,
    oids.JSON.oid: _documents,
}
