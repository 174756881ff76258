"""Rows as JSON, for derived tables of few rows that SQL engines read without a library of ours."""

import json
import math
from collections.abc import Iterator, Sequence

from tickloop.core.batch import Batch
from tickloop.core.clock import iso
from tickloop.core.dialects.numpy import NULL_CHAR, null_of, surface_dtype
from tickloop.core.schema import Column, Kind


def json_rows(rows: Batch, names: Sequence[str]) -> Iterator[bytes]:
    """Spell surface rows: nulls as null, instants as ISO 8601 in UTC, symbols by name."""
    keys = rows.table.names
    cells = [
        [_value(column, value, names) for value in rows.columns[column.name].tolist()]
        for column in rows.table.columns
    ]
    for values in zip(*cells, strict=True):
        yield json.dumps(dict(zip(keys, values, strict=True))).encode()


def _value(column: Column, value: object, names: Sequence[str]) -> object:
    if isinstance(value, bytes):
        return value.hex() if column.kind is Kind.GUID else value.decode(errors="replace")
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    assert isinstance(value, int)
    if column.kind is Kind.SYMBOL:
        return names[value] if value >= 0 else None
    if column.kind is Kind.CHAR:
        return chr(value) if value != NULL_CHAR else None
    if column.kind is Kind.FLAG:
        return bool(value)
    if column.kind is not Kind.BYTE and value == null_of(column.kind, surface_dtype(column.kind)):
        return None
    return iso(value) if column.kind is Kind.INSTANT else value
