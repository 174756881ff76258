"""Files of a session that may touch them: q objects, columns, splayed tables, text, bytes."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tickloop.analytics.q.enumerations import domain_of
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import call, register
from tickloop.analytics.q.values import (
    DTYPES,
    Enumerated,
    List,
    QType,
    Table,
    Value,
    Vector,
    char,
    chars,
    items_of,
    long,
    name_of,
    names_of,
    symbol,
    text_of,
)
from tickloop.core.errors import StoreError

if TYPE_CHECKING:
    from tickloop.analytics.q.session import Session
    from tickloop.tickerplant.kdb_file import KdbFile
    from tickloop.tickerplant.kdb_layout import Layout

# Types of columns of lists are those of their items and this much.
_NESTED = 77
_OBJECT = b"\xff\x01"


def granted(session: "Session", name: str) -> Path:
    """Give the path of a file symbol; 'access unless the session may touch files."""
    if not session.files:
        raise QError("access", "this session may not touch files; Session(files=True) may")
    return Path(name.removeprefix(":"))


def _path(session: "Session", value: Value) -> Path:
    name = name_of(value)
    if name is None or not name.startswith(":"):
        raise QError("type", "a file is a symbol with a colon: `:path/to/file")
    return granted(session, name)


def _missing(path: Path, error: OSError) -> QError:
    return QError(str(path), f"{error.strerror or error}".lower())


def read_script(session: "Session", name: str) -> str:
    """Read the text of a script."""
    path = granted(session, name)
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise _missing(path, error) from None


def read_file(session: "Session", name: str) -> Value:
    """Read a q object, a column or a splayed table."""
    return read_path(session, granted(session, name))


def read_path(session: "Session", path: Path) -> Value:
    """Read a q object, a column or a splayed table that the program itself chose."""
    try:
        path.stat()
        return _splayed(session, path) if path.is_dir() else _object(session, path)
    except OSError as error:
        raise _missing(path, error) from None
    except StoreError as error:
        raise QError("type", str(error)) from None


def _object(session: "Session", path: Path) -> Value:
    from tickloop.analytics.q.wire import from_wire
    from tickloop.tickerplant.kdb_file import open_kdb_file, read_object

    try:
        return from_wire(read_object(path), session.function_of)
    except StoreError:
        return _column(session, open_kdb_file(path))


def _column(session: "Session", column: "KdbFile") -> Value:
    """Turn a column file into a vector, an enumeration, or a list of vectors."""
    values = column.values()
    layout = column.layout
    if not isinstance(values, np.ndarray):
        return List(tuple(_nested(item, layout) for item in values.items(0, len(values))))
    if layout.is_enum:
        return Enumerated(domain_of(session, layout.domain), values)
    kind = QType(layout.type)
    return Vector(kind, np.ascontiguousarray(values).view(DTYPES[kind]))


def _nested(item: object, layout: "Layout") -> Value:
    """Turn an item of a column of lists into a value."""
    from tickloop.analytics.q.convert import to_value

    if isinstance(item, np.ndarray):
        kind = QType(layout.type - _NESTED)
        return Vector(kind, np.ascontiguousarray(item).view(DTYPES[kind]))
    return to_value(item)


def _splayed(session: "Session", path: Path) -> Value:
    from tickloop.tickerplant.kdb_file import open_kdb_file

    names = name_list(_object(session, path / ".d"))
    columns = [_column(session, open_kdb_file(path / name)) for name in names]
    return Table(tuple(names), tuple(columns))


def name_list(value: Value) -> list[str]:
    """Give the names in a `.d` file."""
    names = names_of(value)
    if names is None:
        raise QError("type", "the table's .d file holds no names")
    return names


def write_file(session: "Session", name: str, value: Value) -> None:
    """Write a value as one q object."""
    from tickloop.analytics.q.wire import to_wire
    from tickloop.tickerplant.q_encode import encode

    path = granted(session, name)
    if name.endswith("/"):
        raise QError("nyi", "splayed tables are written by the plant; set writes one file")
    raw = _OBJECT + encode(to_wire(value))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(raw)
    except OSError as error:
        raise _missing(path, error) from None


# -- words --------------------------------------------------------------------------------------


@register("read0", rank=1, session=True)
def read0(session: "Session", name: Value) -> Value:
    """Read the lines of a text file."""
    raw = _bytes(_path(session, name))
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    if lines and not lines[-1]:
        lines.pop()
    return List(tuple(chars(line) for line in lines))


@register("read1", rank=1, session=True)
def read1(session: "Session", name: Value) -> Value:
    """Read the bytes of a file."""
    raw = _bytes(_path(session, name))
    return Vector(QType.BYTE, np.frombuffer(bytearray(raw), dtype=np.uint8))


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _missing(path, error) from None


@register("hcount", rank=1, session=True)
def hcount(session: "Session", name: Value) -> Value:
    """Give the size of a file in bytes."""
    path = _path(session, name)
    try:
        return long(path.stat().st_size)
    except OSError as error:
        raise _missing(path, error) from None


@register("hdel", rank=1, session=True)
def hdel(session: "Session", name: Value) -> Value:
    """Delete a file, or a directory that is empty."""
    path = _path(session, name)
    try:
        if path.is_dir():
            path.rmdir()
        else:
            path.unlink()
    except OSError as error:
        raise _missing(path, error) from None
    return name


@register("load", "rload", rank=1, session=True)
def load(session: "Session", name: Value) -> Value:
    """Read a file into the variable of its name."""
    path = _path(session, name)
    session.set(path.name, read_file(session, str(path)))
    return symbol(path.name)


@register("save", "rsave", rank=1, session=True)
def save(session: "Session", name: Value) -> Value:
    """Write the variable of a file's name to the file; by .csv and .txt as text."""
    path = _path(session, name)
    value = session.get(path.stem)
    delimiter = {".csv": ",", ".txt": "\t"}.get(path.suffix)
    if delimiter is None:
        write_file(session, str(path), value)
        return name
    lines = call(session, "0:", char(ord(delimiter)), value)
    texts = [text_of(line) or "" for line in items_of(lines)]
    try:
        path.write_text("".join(f"{text}\n" for text in texts), "utf-8", "surrogateescape")
    except OSError as error:
        raise _missing(path, error) from None
    return name
