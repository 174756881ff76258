"""Files by name: get and set, key, hcount, hdel, read0, read1, save, load, and open handles."""

from pathlib import Path

import numpy as np

from tickloop.analytics.q.errors import QError, type_error
from tickloop.analytics.q.file_paths import (
    file_of,
    is_directory_name,
    path_of,
    refused,
)
from tickloop.analytics.q.kinds import whole_atom
from tickloop.analytics.q.object_files import read_value, write_value
from tickloop.analytics.q.packing import usual_packing
from tickloop.analytics.q.registry import Interpreter, call, register
from tickloop.analytics.q.splayed_files import (
    PackingOf,
    append_table,
    is_table,
    read_table,
    write_table,
)
from tickloop.analytics.q.table_rows import flat
from tickloop.analytics.q.values import (
    Attribute,
    List,
    QType,
    Table,
    Value,
    Vector,
    chars,
    items_of,
    long,
    name_of,
    names_of,
    symbol,
    symbols,
    text_of,
)
from tickloop.tickerplant.kdb_file import plain_bytes
from tickloop.tickerplant.kdb_zip import MAGIC
from tickloop.tickerplant.parted import FILE_NAME as INDEX


def read_file(session: Interpreter, name: str) -> Value:
    """Give what a file symbol means: a value, or the table in a directory."""
    path = path_of(session, name)
    if path.is_dir() and is_directory_name(name):
        return read_table(session, path)
    return read_path(session, path)


def read_path(session: Interpreter, path: Path) -> Value:
    """Read a value, or the table in a directory, that the program itself chose."""
    return read_table(session, path) if is_table(path) else read_value(session, path)


def write_file(session: Interpreter, name: str, value: Value) -> None:
    """Write a value to a file, or a table into a directory if the name ends with a slash."""
    write_packed(session, name, value, usual_packing(session))


def write_packed(session: Interpreter, name: str, value: Value, packing: PackingOf) -> None:
    """Write a value, or a table's columns, compressed as `packing` tells by the file's name."""
    path = path_of(session, name)
    if is_directory_name(name) or (isinstance(value, Table) and is_table(path)):
        write_table(path, value, packing)
    else:
        write_value(path, value, packing(path.name))


def find_file(session: Interpreter, name: str) -> Value | None:
    """Give what a file symbol means; None if there is no such file."""
    return read_file(session, name) if path_of(session, name).exists() else None


def read_script(session: Interpreter, name: str) -> str:
    """Read the text of a script."""
    path = path_of(session, name)
    try:
        return path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise refused(path, error) from None


def upsert_file(session: Interpreter, name: str, rows: Value) -> None:
    """Append to the table, list or dictionary in a file."""
    path = path_of(session, name)
    if is_directory_name(name) or is_table(path):
        append_table(session, path, rows)
        return
    old = read_value(session, path) if path.exists() else None
    write_value(path, rows if old is None else call(session, "upsert", old, rows))


def listed(session: Interpreter, name: str) -> Value:
    """Give the names in a directory, a file's own name, or an empty list if there is neither."""
    path = path_of(session, name)
    if path.is_dir():
        names = sorted(entry.name for entry in path.iterdir() if entry.name != INDEX)
        return symbols(names, Attribute.SORTED)
    return symbol(name) if path.exists() else List(())


@register("hcount", rank=1, session=True)
def hcount(session: Interpreter, file: Value) -> Value:
    """Give a file's size in bytes, of a compressed one what it holds unpacked."""
    path = file_of(session, file)
    try:
        return long(len(plain_bytes(path)) if is_packed(path) else path.stat().st_size)
    except OSError as error:
        raise refused(path, error) from None


@register("hdel", rank=1, session=True)
def hdel(session: Interpreter, file: Value) -> Value:
    """Delete a file or an empty directory."""
    path = file_of(session, file)
    try:
        path.rmdir() if path.is_dir() else path.unlink()
    except OSError as error:
        raise refused(path, error) from None
    return file


def content(session: Interpreter, source: Value) -> bytes:
    """Read a file's bytes, or those of (file; offset) or (file; offset; length)."""
    if not isinstance(source, List):
        return _bytes(file_of(session, source), 0, -1)
    if len(source) not in (2, 3):
        raise QError("length", "a file, an offset and a length needed")
    numbers = [whole_atom(item) for item in source.items[1:]]
    if None in numbers:
        raise type_error("offset and length are whole numbers")
    start, length = (*[number or 0 for number in numbers], -1)[:2]
    return _bytes(file_of(session, source.items[0]), start, length)


def is_packed(path: Path) -> bool:
    """Tell a compressed file by its first bytes."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def _bytes(path: Path, start: int, length: int) -> bytes:
    try:
        if is_packed(path):
            raw = plain_bytes(path)[start:]
            return (raw if length < 0 else raw[:length]).tobytes()
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length)
    except OSError as error:
        raise refused(path, error) from None


@register("read1", rank=1, session=True)
def read1(session: Interpreter, source: Value) -> Value:
    """Read bytes of a file."""
    raw = content(session, source)
    return Vector(QType.BYTE, np.frombuffer(bytearray(raw), dtype=np.uint8))


@register("read0", rank=1, session=True)
def read0(session: Interpreter, source: Value) -> Value:
    """Read a file's lines, or the text of a part of a file."""
    raw = content(session, source)
    if isinstance(source, List):
        return chars(raw.rstrip(b"\n") if len(source) == _TO_THE_END else raw)
    return List(tuple([chars(line) for line in lines_of(raw)]))


_TO_THE_END = 2  # (file; offset)


def lines_of(raw: bytes) -> list[bytes]:
    """Cut bytes into lines; the end of the last line is no line of its own."""
    if not raw:
        return []
    lines = raw.replace(b"\r\n", b"\n").split(b"\n")
    return lines[:-1] if raw.endswith(b"\n") else lines


_DELIMITERS = {".csv": ",", ".txt": "\t"}


@register("save", rank=1, session=True)
def save(session: Interpreter, files: Value) -> Value:
    """Write variables to files of their names: binary, or as the suffix says."""
    names = names_of(files)
    if names is None:
        raise type_error("names of variables needed, as in save `trade.csv")
    made = symbols([_saved(session, name) for name in names])
    return symbol(_name(made, 0)) if name_of(files) is not None else made


def _name(vector: Vector, place: int) -> str:
    return (names_of(vector) or [])[place]


def _saved(session: Interpreter, name: str) -> str:
    file = name if name.startswith(":") else f":{name}"
    stem, dot, suffix = file.removeprefix(":").rstrip("/").rpartition("/")[2].partition(".")
    path_of(session, file)
    value = session.get(stem)
    if not dot:
        write_file(session, file, value)
        return file
    lines = call(session, "0:", symbol(file), _lines(session, value, dot + suffix))
    return name_of(lines) or file


def _lines(session: Interpreter, value: Value, suffix: str) -> Value:
    if suffix in _DELIMITERS:
        return call(session, "0:", chars(_DELIMITERS[suffix]), value)
    if suffix == ".xml":
        return List(tuple([chars(line) for line in _xml(session, flat(value))]))
    if suffix == ".xls":
        return call(session, ".h.ed", value)
    if suffix == ".json":
        return List((call(session, ".j.j", value),))
    raise QError("type", f"{suffix} is no format here; csv, txt, xml, xls and json are")


def _xml(session: Interpreter, table: Table) -> list[str]:
    cells = [items_of(call(session, "string", column)) for column in table.columns]
    rows = [
        "".join(
            f"<{name}>{_escaped(text_of(cell) or '')}</{name}>"
            for name, cell in zip(table.names, row, strict=True)
        )
        for row in zip(*cells, strict=True)
    ]
    return ["<R>", *[f"<r>{row}</r>" for row in rows], "</R>"]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


@register("load", "rload", rank=1, session=True)
def load(session: Interpreter, files: Value) -> Value:
    """Read files into variables of their names."""
    names = names_of(files)
    if names is None:
        raise type_error("names of files needed, as in load `trade")
    made = symbols([_loaded(session, name) for name in names])
    return symbol(_name(made, 0)) if name_of(files) is not None else made


def _loaded(session: Interpreter, name: str) -> str:
    path = path_of(session, name.rstrip("/"))
    stem = path.name
    if path.is_dir() and not is_table(path):
        from tickloop.analytics.q.loading import load_directory_values

        load_directory_values(session, path, stem)
        return stem
    session.set(stem, read_file(session, name if name.startswith(":") else f":{name}"))
    return stem


@register("rsave", rank=1, session=True)
def rsave(session: Interpreter, files: Value) -> Value:
    """Write tables into directories of their names."""
    name = name_of(files)
    if name is None:
        raise type_error("the name of a table needed")
    stem = name.removeprefix(":").rstrip("/").rpartition("/")[2]
    file = f":{name.removeprefix(':').rstrip('/')}/"
    write_file(session, file, session.get(stem))
    return symbol(file)
