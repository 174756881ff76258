"""Tables on disk with one file for each column: written, appended to, and mapped."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.file_paths import refused
from tickloop.analytics.q.kdb_source import PARTED_COLUMN
from tickloop.analytics.q.mapped_columns import with_parted
from tickloop.analytics.q.object_files import (
    append_column,
    column_of,
    opened,
    read_value,
    write_column,
    write_value,
)
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.table_rows import rows_from
from tickloop.analytics.q.values import (
    NULLS,
    Attribute,
    Enumerated,
    QType,
    Table,
    Value,
    Vector,
    count_of,
    names_of,
    symbols,
)
from tickloop.tickerplant.kdb_zip import Packing
from tickloop.tickerplant.parted import FILE_NAME as INDEX
from tickloop.tickerplant.parted import decode_parted, encode_parted, parted_of

ORDER = ".d"


PackingOf = Callable[[str], Packing | None]


def write_table(path: Path, value: Value, packing: PackingOf = lambda _: None) -> None:
    """Write a table into a directory; 'type if it is keyed or has symbols without a domain.

    `packing` tells of each column how it is compressed.
    """
    if not isinstance(value, Table):
        raise type_error("a directory holds a table without keys; 0! takes the keys away")
    _check(value)
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, column in zip(value.names, value.columns, strict=True):
            write_column(path / name, column, packing(name))
    except OSError as error:
        raise refused(path, error) from None
    write_value(path / ORDER, symbols(value.names))
    _write_index(path, value)


def _write_index(path: Path, table: Table) -> None:
    """Keep where each symbol's rows lie, which kdb+'s own files cannot be written with."""
    file = path / INDEX
    file.unlink(missing_ok=True)
    column = table.column(PARTED_COLUMN) if PARTED_COLUMN in table.names else None
    if isinstance(column, Enumerated) and column.attribute is Attribute.PARTED:
        found = parted_of(np.where(column.data < 0, NULLS[QType.LONG], column.data))
        if found is not None:
            file.write_bytes(encode_parted(found))


def _check(table: Table) -> None:
    for name, column in zip(table.names, table.columns, strict=True):
        if isinstance(column, Vector) and column.type is QType.SYMBOL:
            raise type_error(f"column {name} is of symbols; .Q.en[`:directory;table] enumerates")


def append_table(session: Interpreter, path: Path, rows: Value) -> None:
    """Append rows to the table in a directory, which is made if it is not there."""
    if not (path / ORDER).exists():
        write_table(path, rows)
        return
    known = read_table(session, path)
    given = rows_from(known, rows)
    if set(given.names) != set(known.names):
        raise QError("mismatch", f"the columns are {', '.join(known.names)}")
    _check(given)
    (path / INDEX).unlink(missing_ok=True)
    for name in known.names:
        append_column(session, path / name, given.column(name))


def read_table(session: Interpreter, path: Path) -> Table:
    """Map the columns of a table in a directory."""
    names = names_of(read_value(session, path / ORDER)) or []
    columns = {name: column_of(session, opened(path / name)) for name in names}
    index = path / INDEX
    if PARTED_COLUMN in columns and index.exists():
        rows = count_of(columns[PARTED_COLUMN])
        parted = decode_parted(index.read_bytes(), rows=rows, name=str(index))
        columns[PARTED_COLUMN] = with_parted(columns[PARTED_COLUMN], parted)
    return Table.of(columns)


def is_table(path: Path) -> bool:
    """Tell whether a directory holds a table."""
    return (path / ORDER).is_file()
