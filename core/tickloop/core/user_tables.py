"""Users' own tables: from TOML, or from a kdb+ schema file as tickerplants load it."""

import re
from collections.abc import Mapping
from pathlib import Path

from tickloop.core.dialects import q
from tickloop.core.errors import SchemaError
from tickloop.core.schema import Column, Kind, Table, Whose

# q's name of every type that a column can have; text columns are `string`.
KINDS: dict[str, Kind] = {
    "boolean": Kind.FLAG, "guid": Kind.GUID, "byte": Kind.BYTE, "short": Kind.SHORT,
    "int": Kind.INT, "long": Kind.LONG, "real": Kind.REAL, "float": Kind.FLOAT,
    "char": Kind.CHAR, "symbol": Kind.SYMBOL, "timestamp": Kind.INSTANT, "month": Kind.MONTH,
    "date": Kind.DATE, "datetime": Kind.DATETIME, "timespan": Kind.SPAN, "minute": Kind.MINUTE,
    "second": Kind.SECOND, "time": Kind.MILLI, "string": Kind.TEXT,
}  # fmt: skip
# Columns that the plant fills itself. As kdb+tick does, it takes a `time` of any clock-like type
# and stores an instant.
_OWN_COLUMNS: dict[str, tuple[Kind, ...]] = {
    "time": (Kind.INSTANT, Kind.SPAN, Kind.MILLI, Kind.DATETIME),
    "sym": (Kind.SYMBOL,),
    "seq": (Kind.LONG,),
}
_EMPTIES = {
    "()": Kind.TEXT, "0#`": Kind.SYMBOL, "0#0b": Kind.FLAG, "0#0x00": Kind.BYTE, '0#" "': Kind.CHAR,
    "0#0": Kind.LONG, "0#0N": Kind.LONG, "0#0h": Kind.SHORT, "0#0i": Kind.INT, "0#0j": Kind.LONG,
    "0#0e": Kind.REAL, "0#0f": Kind.FLOAT, "0#0.": Kind.FLOAT, "0#0n": Kind.FLOAT,
}  # fmt: skip
_BY_CHARACTER = {q.CHARACTERS[name]: kind for name, kind in KINDS.items() if name in q.NUMBERS}
_TABLE = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*:\s*\(\s*\[\s*\]\s*(.*?)\)\s*;?\s*$", re.DOTALL)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def table(name: str, columns: Mapping[str, Kind]) -> Table:
    """Make a user table: `time` and `sym` first, `seq` last, whatever was left out added."""
    if not _NAME.fullmatch(name):
        raise SchemaError(f"table name {name!r} seen; letters, digits and _ expected")
    body = {key: kind for key, kind in columns.items() if key not in ("time", "sym", "seq")}
    bad = [key for key in body if not _NAME.fullmatch(key)]
    if bad:
        raise SchemaError(f"{name}: column name {bad[0]!r} seen; letters, digits and _ expected")
    for key, allowed in _OWN_COLUMNS.items():
        if key in columns and columns[key] not in allowed:
            expected = " or ".join(q.TYPES[kind] for kind in allowed)
            seen = q.TYPES[columns[key]] or "string"
            raise SchemaError(f"{name}.{key}: {seen} seen, {expected} expected")
    return Table(
        name,
        (
            Column("time", Kind.INSTANT, "when the row entered the log", Whose.PLANT, False),
            Column("sym", Kind.SYMBOL),
            *(Column(key, kind) for key, kind in body.items()),
            Column("seq", Kind.LONG, "position in the plant's one order", None, False),
        ),
    )


def from_toml(tables: Mapping[str, Mapping[str, str]]) -> list[Table]:
    """Make tables from ``{table: {column: q type name}}``; text columns are `string`."""
    made = []
    for name, columns in tables.items():
        unknown = [f"{key} = {kind!r}" for key, kind in columns.items() if kind not in KINDS]
        if unknown:
            raise SchemaError(
                f"tables.{name}: {unknown[0]} seen, one of {', '.join(KINDS)} expected"
            )
        made.append(table(name, {key: KINDS[kind] for key, kind in columns.items()}))
    return made


def from_q(path: Path) -> list[Table]:
    """Read a kdb+ schema file: ``name:([] time:`timespan$(); sym:`symbol$(); ...)`` definitions.

    Only such definitions are understood, and never run; anything else is refused with its line.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"{path}: cannot be read ({error})") from error
    made = []
    for line, statement in _statements(text):
        match = _TABLE.fullmatch(statement)
        if match is None:
            raise SchemaError(
                f"{path}:{line}: {statement[:60]!r} seen, a table definition such as"
                " trade:([] time:`timespan$(); sym:`symbol$()) expected"
            )
        columns = _q_columns(match[2], f"{path}:{line}")
        try:
            made.append(table(match[1], columns))
        except SchemaError as error:
            raise SchemaError(f"{path}:{line}: {error}") from error
    return made


def _statements(text: str) -> list[tuple[int, str]]:
    """Split q text: a statement begins in column 0 and goes on in indented lines.

    A lone `/` begins a comment that a lone `\\` ends; a lone `\\` elsewhere ends the script.
    """
    found: list[tuple[int, str]] = []
    commented = False
    for number, line in enumerate(text.split("\n"), start=1):
        alone = line.rstrip()
        if alone == "\\" and not commented:
            break
        if commented or alone == "/":
            commented = alone != "\\"
            continue
        code = re.sub(r"(^|\s)/.*$", "", line).rstrip()
        if not code.strip():
            continue
        if line[0].isspace() and found:
            found[-1] = (found[-1][0], f"{found[-1][1]} {code.strip()}")
        else:
            found.append((number, code))
    return found


def _q_columns(text: str, where: str) -> dict[str, Kind]:
    columns = {}
    for part in filter(None, (piece.strip() for piece in text.split(";"))):
        name, _, kind_text = (piece.strip() for piece in part.partition(":"))
        kind = _q_kind(kind_text)
        if kind is None:
            raise SchemaError(
                f'{where}: column {part!r} seen; name:`type$(), name:"type"$() or name:() expected'
            )
        if name in columns:
            raise SchemaError(f"{where}: column {name!r} seen twice; name one otherwise")
        columns[name] = kind
    return columns


def _q_kind(text: str) -> Kind | None:
    """Understand an empty typed list; a `g#-like attribute before it is passed over."""
    text = re.sub(r"^`[supg]#\s*", "", text)
    if text in _EMPTIES:
        return _EMPTIES[text]
    if match := re.fullmatch(r"`([a-z]+)\$\(\)", text):
        return KINDS.get(match[1])
    if match := re.fullmatch(r'"([a-z])"\$\(\)', text):
        return _BY_CHARACTER.get(match[1])
    if match := re.fullmatch(r"0#(0N[a-z])", text):
        return _BY_CHARACTER.get(match[1][2:])
    return None
