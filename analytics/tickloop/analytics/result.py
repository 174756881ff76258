"""Query results as text or files: table for a terminal, csv, json (one object a line), parquet.

Instants are UTC with nanoseconds and `Z`. NULL is empty in csv, `null` in json and blank in a
table. In json, numbers that JSON has none for (NaN, infinities) are strings.
"""

import csv
import io
import itertools
import json
import math
import unicodedata
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, TypeVar

from tickloop.core.clock import EPOCH_UNIX_NS, iso

if TYPE_CHECKING:
    import pyarrow as pa

FORMATS = ("table", "csv", "json", "parquet")
BATCH_ROWS = 8192
TABLE_ROWS_MAX = 10_000
_INFINITE = 2**63 - 1
_PER_UNIT_NS = {"s": 10**9, "ms": 10**6, "us": 10**3, "ns": 1}

Row = TypeVar("Row")
Cell = str | int | float | bool | Decimal | list[object] | dict[str, object] | None


def write(result: "pa.Table", form: str, out: TextIO) -> None:
    """Write a result as `table`, `csv` or `json` lines."""
    writers = {"table": _write_table, "csv": _write_csv, "json": _write_json}
    writers[form](result, out)


def write_parquet(result: "pa.Table", path: Path) -> None:
    """Write a result as one Parquet file, which keeps every type."""
    import pyarrow.parquet as pq

    pq.write_table(result, path, compression="zstd")


def write_arrow(result: "pa.Table", path: Path) -> None:
    """Write a result as one Arrow IPC file."""
    import pyarrow as pa

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, result.schema) as writer:
        writer.write_table(result)


def plain(result: "pa.Table") -> "pa.Table":
    """Give a table whose dictionaries are written out as what they stand for."""
    import pyarrow as pa

    fields = [
        field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field
        for field in result.schema
    ]
    return result.cast(pa.schema(fields))


def text(result: "pa.Table", form: str) -> str:
    """Give a result as text."""
    out = io.StringIO()
    write(result, form, out)
    return out.getvalue()


def rows_of(result: "pa.Table") -> Iterator[tuple[Cell, ...]]:
    """Give rows as plain values, instants as ISO 8601 text."""
    for batch in result.to_batches(max_chunksize=BATCH_ROWS):
        yield from zip(*(_cells(column) for column in batch.columns), strict=True)


def _cells(column: "pa.Array") -> list[Cell]:
    import pyarrow as pa

    kind = column.type
    if pa.types.is_timestamp(kind):
        scale = _PER_UNIT_NS[kind.unit]
        return [_instant(unit, scale) for unit in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_time(kind) or pa.types.is_duration(kind):
        return list(column.cast(pa.string() if pa.types.is_time(kind) else pa.int64()).to_pylist())
    if pa.types.is_struct(kind):
        fields = {field.name: _cells(column.field(i)) for i, field in enumerate(kind)}
        rows = [dict(zip(fields, row, strict=True)) for row in zip(*fields.values(), strict=True)]
        return [row if valid else None for row, valid in _with_validity(rows, column)]
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = _cells(column.values)
        bounds = itertools.pairwise(column.offsets.to_pylist())
        lists = [list[object](inner[a:b]) for a, b in bounds]
        return [row if valid else None for row, valid in _with_validity(lists, column)]
    return [_cell(value) for value in column.to_pylist()]


def _with_validity(rows: list[Row], column: "pa.Array") -> Iterator[tuple[Row, bool]]:
    return zip(rows, column.is_valid().to_pylist(), strict=True)


def _instant(value: int | None, scale: int) -> Cell:
    if value is None:
        return None
    if abs(value) == _INFINITE:
        return "infinity" if value > 0 else "-infinity"
    return iso(value * scale - EPOCH_UNIX_NS)


def _cell(value: object) -> Cell:
    if value is None or isinstance(value, str | int | float | Decimal):
        return value
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, tuple):
        months, days, nanoseconds = value
        return f"P{months}M{days}DT{Decimal(nanoseconds) / 10**9:f}S"
    return str(value)


def _write_csv(result: "pa.Table", out: TextIO) -> None:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(result.column_names)
    for row in rows_of(result):
        writer.writerow([_plain(cell) for cell in row])


def _plain(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, list | dict):
        return json.dumps(_for_json(cell))
    return str(cell)


def _write_json(result: "pa.Table", out: TextIO) -> None:
    for row in rows_of(result):
        record = dict(zip(result.column_names, map(_for_json, row), strict=True))
        out.write(json.dumps(record, ensure_ascii=False) + "\n")


def _for_json(cell: object) -> object:
    if isinstance(cell, float) and not math.isfinite(cell):
        return str(cell)
    if isinstance(cell, Decimal):
        return int(cell) if cell == cell.to_integral_value() else float(cell)
    if isinstance(cell, list):
        return [_for_json(item) for item in cell]
    if isinstance(cell, dict):
        return {name: _for_json(item) for name, item in cell.items()}
    return cell


def _write_table(result: "pa.Table", out: TextIO) -> None:
    """Write aligned columns: numbers to the right, text to the left, and how many rows."""
    names = result.column_names
    shown = [[_plain(cell) for cell in row] for row in rows_of(result.slice(0, TABLE_ROWS_MAX))]
    if names == ["explain_key", "explain_value"]:
        out.writelines(f"{plan}\n" for _, plan in shown)
        return
    shown = [[_one_line(cell) for cell in row] for row in shown]
    widths = [
        max([_width(name), *(_width(row[i]) for row in shown)]) for i, name in enumerate(names)
    ]
    right = [_is_number(field.type) for field in result.schema]
    for row in [names, ["-" * width for width in widths], *shown]:
        cells = (
            " " * (width - _width(cell)) + cell if aligned else cell + " " * (width - _width(cell))
            for cell, width, aligned in zip(row, widths, right, strict=True)
        )
        out.write("  ".join(cells).rstrip() + "\n")
    out.write(_row_count(result.num_rows))


def _row_count(rows: int) -> str:
    if rows > TABLE_ROWS_MAX:
        return f"({rows:,} rows, the first {TABLE_ROWS_MAX:,} shown)\n"
    return f"({rows:,} row{'' if rows == 1 else 's'})\n"


def _one_line(cell: str) -> str:
    # Control characters would break the lines, or talk to the terminal.
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in cell)


def _width(cell: str) -> int:
    return len(cell) if cell.isascii() else sum(map(_cell_width, cell))


def _cell_width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _is_number(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )
