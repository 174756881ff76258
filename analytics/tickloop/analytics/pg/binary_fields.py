"""Arrow columns in PostgreSQL's binary format, a column at a time."""

import struct
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import numpy as np

from tickloop.analytics.pg import oids
from tickloop.analytics.pg.fields import Fields, of_fixed, of_list, of_strings, valid_of
from tickloop.analytics.pg.oids import PgType, WireType
from tickloop.analytics.pg.text_fields import filled, microseconds, text_fields
from tickloop.core.clock import EPOCH_UNIX_NS

EPOCH_US = EPOCH_UNIX_NS // 1000
EPOCH_DAYS = 10_957  # 2000-01-01 in days since 1970
_INFINITE = 2**63 - 1
_INFINITE_DAY = 2**31 - 1
_NUMERIC_BASE = 10_000


def binary_fields(array: Any, wire: WireType) -> Fields:
    """Spell a column's values in binary."""
    if wire.is_array:
        return of_list(_arrays(array, wire.item))
    speller = _SPELLERS.get(wire.item.oid)
    return text_fields(array, wire) if speller is None else speller(array)


def _fixed(dtype: str) -> Callable[[Any], Fields]:
    def spell(array: Any) -> Fields:
        values = filled(array, 0)
        return of_fixed(values.astype(dtype), valid_of(array))

    return spell


def _booleans(array: Any) -> Fields:
    values = array.fill_null(False).to_numpy(zero_copy_only=False)
    return of_fixed(values.astype(np.uint8), valid_of(array))


def _dates(array: Any) -> Fields:
    import pyarrow as pa

    days = array.cast(pa.int32()).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    shifted = np.where(days >= _INFINITE_DAY, _INFINITE_DAY, days - EPOCH_DAYS)
    shifted = np.where(days <= -_INFINITE_DAY, -_INFINITE_DAY - 1, shifted)
    return of_fixed(shifted.astype(">i4"), valid_of(array))


def _timestamps(array: Any) -> Fields:
    micros = microseconds(array)
    with np.errstate(over="ignore"):
        shifted = np.where(micros == _INFINITE, micros, micros - EPOCH_US)
    shifted = np.where(micros == -_INFINITE, -_INFINITE - 1, shifted)
    return of_fixed(shifted.astype(">i8"), valid_of(array))


def _times(array: Any) -> Fields:
    import pyarrow as pa

    values = array.cast(pa.time64("us")).cast(pa.int64()).fill_null(0)
    return of_fixed(values.to_numpy(zero_copy_only=False).astype(">i8"), valid_of(array))


def _intervals(array: Any) -> Fields:
    return of_list(
        [
            None if value is None else struct.pack("!qii", value[2] // 1000, value[1], value[0])
            for value in array.to_pylist()
        ]
    )


def _uuids(array: Any) -> Fields:
    return of_list(
        [
            None if value is None else bytes.fromhex(str(value).replace("-", ""))
            for value in array.to_pylist()
        ]
    )


def _numerics(array: Any) -> Fields:
    return of_list(
        [None if value is None else numeric(Decimal(value)) for value in array.to_pylist()]
    )


def numeric(value: Decimal) -> bytes:
    """Spell a number as groups of four decimal digits with a weight, a sign and a scale."""
    if not value.is_finite():
        return struct.pack("!hhHh", 0, 0, 0xC000, 0)
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int), f"a finite number has an exponent, {exponent!r} seen"
    scale = max(0, -exponent)
    whole = int("".join(map(str, digits))) * 10 ** max(0, exponent)
    # The point must fall between groups.
    whole *= 10 ** (-scale % 4)
    groups = []
    while whole:
        whole, group = divmod(whole, _NUMERIC_BASE)
        groups.append(group)
    weight = len(groups) - 1 - (scale + 3) // 4
    while groups and groups[0] == 0:
        groups.pop(0)
    groups.reverse()
    head = struct.pack("!hhHh", len(groups), weight if groups else 0, 0x4000 if sign and groups else 0, scale)  # noqa: E501  # fmt: skip
    return head + struct.pack(f"!{len(groups)}H", *groups)


def _arrays(array: Any, item: PgType) -> list[bytes | None]:
    wire = WireType(item.oid, item.size, -1, item, is_array=False)
    rows = array.to_pylist()
    values = iter(binary_fields(array.flatten(), wire).to_list())
    made: list[bytes | None] = []
    for row in rows:
        if row is None:
            made.append(None)
            continue
        items = [next(values) for _ in row]
        has_null = int(any(one is None for one in items))
        head = struct.pack("!iiI", 1 if items else 0, has_null, item.oid)
        dimensions = struct.pack("!ii", len(items), 1) if items else b""
        body = b"".join(
            b"\xff\xff\xff\xff" if one is None else struct.pack("!i", len(one)) + one
            for one in items
        )
        made.append(head + dimensions + body)
    return made


_SPELLERS: dict[int, Callable[[Any], Fields]] = {
    oids.BOOL.oid: _booleans,
    oids.BYTEA.oid: of_strings,
    oids.INT2.oid: _fixed(">i2"),
    oids.INT4.oid: _fixed(">i4"),
    oids.INT8.oid: _fixed(">i8"),
    oids.OID.oid: _fixed(">u4"),
    oids.FLOAT4.oid: _fixed(">f4"),
    oids.FLOAT8.oid: _fixed(">f8"),
    oids.DATE.oid: _dates,
    oids.TIME.oid: _times,
    oids.TIMESTAMP.oid: _timestamps,
    oids.TIMESTAMPTZ.oid: _timestamps,
    oids.INTERVAL.oid: _intervals,
    oids.NUMERIC.oid: _numerics,
    oids.UUID.oid: _uuids,
}
