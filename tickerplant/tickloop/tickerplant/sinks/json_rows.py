"""Rows as JSON, for derived tables of few rows that SQL engines read without a library of ours.

A column is spelled at once, and a row is put together of its cells.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tickloop.core.batch import Batch
from tickloop.core.dialects.numpy import NULL_CHAR, null_of
from tickloop.core.schema import Column, Kind

_NULL = "null"
_FROM = np.datetime64("2000-01-01", "s").astype(np.int64)
_SECOND_NS = 1_000_000_000
_Values = npt.NDArray[Any]


def json_rows(rows: Batch, names: Sequence[str]) -> Iterator[bytes]:
    """Spell surface rows: nulls as null, instants as ISO 8601 in UTC, symbols by name."""
    cells = [_cells(each, rows.columns[each.name], names) for each in rows.table.columns]
    keys = (json.dumps(name).replace("%", "%%") for name in rows.table.names)
    row = "{" + ", ".join(f"{key}: %s" for key in keys) + "}"
    for values in zip(*cells, strict=True):
        yield (row % values).encode()


def _cells(column: Column, values: _Values, names: Sequence[str]) -> list[str]:
    kind = column.kind
    if kind is Kind.TEXT or values.dtype.kind == "S":
        return _few(values, lambda text: text.decode(errors="replace"))
    if kind is Kind.SYMBOL:
        return _few(values, lambda id_: names[id_] if id_ >= 0 else None)
    if kind is Kind.GUID:
        return _few(values, bytes.hex)
    if kind is Kind.CHAR:
        return _few(values, lambda code: chr(code) if code != NULL_CHAR else None)
    if kind is Kind.FLAG:
        return _few(values, bool)
    if values.dtype.kind == "f":
        return _known(list(map(repr, values.tolist())), np.isfinite(values))
    if kind is Kind.BYTE:
        return list(map(str, values.tolist()))
    is_known = values != null_of(kind, values.dtype.str)
    return _known(_instants(values) if kind is Kind.INSTANT else list(map(str, values.tolist())),
                  is_known)  # fmt: skip


def _few(values: _Values, meaning: Any) -> list[str]:
    """Spell values of which many are alike."""
    plain = values.tolist()
    spelled = {value: json.dumps(meaning(value)) for value in set(plain)}
    return [spelled[value] for value in plain]


def _known(cells: list[str], is_known: npt.NDArray[np.bool_]) -> list[str]:
    """Write null where a value is not known."""
    for row in np.flatnonzero(~is_known).tolist():
        cells[row] = _NULL
    return cells


def _instants(values: _Values) -> list[str]:
    seconds, nanos = np.divmod(values.astype(np.int64), _SECOND_NS)
    days = np.datetime_as_string((seconds + _FROM).astype("datetime64[s]")).tolist()
    return [f'"{day}.{nano:09d}Z"' for day, nano in zip(days, nanos.tolist(), strict=True)]
