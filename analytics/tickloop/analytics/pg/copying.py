"""COPY ... TO STDOUT: what it asks for, and rows as text, csv or binary."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tickloop.analytics.pg.binary_fields import binary_fields
from tickloop.analytics.pg.failures import PgError, SqlState
from tickloop.analytics.pg.fields import Fields, framed, of_list, of_strings, separated
from tickloop.analytics.pg.oids import BYTEA, JSON, TEXT, WireType
from tickloop.analytics.pg.text_fields import text_fields
from tickloop.analytics.pg.tokens import Kind, Token, string_value, tokens_of
from tickloop.analytics.pg.wire_out import copy_data

_SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
_FREE_TEXT = frozenset({TEXT.oid, BYTEA.oid, JSON.oid})
_ESCAPES = (("\\", "\\\\"), ("\n", "\\n"), ("\r", "\\r"), ("\t", "\\t"), ("\b", "\\b"), ("\f", "\\f"), ("\v", "\\v"))  # noqa: E501  # fmt: skip


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy to the client: of what, and how it is spelled."""

    query: str
    form: str = "text"  # text, csv or binary
    delimiter: str = "\t"
    null: str = "\\N"
    header: bool = False
    quote: str = '"'
    escape: str = '"'
    forced: frozenset[str] = field(default_factory=frozenset)  # columns that are always quoted
    force_all: bool = False


def copy_of(text: str) -> Copy | None:
    """Read a COPY statement; None for anything else. PgError for one that writes here."""
    tokens = tokens_of(text)
    if not tokens or tokens[0].word != "copy":
        return None
    to = _direction(tokens)
    source, options = tokens[1:to], tokens[to + 2 :]
    return _with_options(_query(text, source), options)


def _direction(tokens: Sequence[Token]) -> int:
    for at, token in enumerate(tokens):
        if token.depth:
            continue
        if token.word == "from":
            raise PgError(SqlState.READ_ONLY, "COPY FROM is not possible: SQL is read-only here")
        if token.word == "to":
            if at + 1 < len(tokens) and tokens[at + 1].word == "stdout":
                return at
            raise PgError(
                SqlState.NO_PRIVILEGE,
                "COPY goes to the client only: COPY (query) TO STDOUT",
                hint="psql's \\copy writes a file on the client's side.",
            )
    raise PgError(SqlState.SYNTAX_ERROR, "COPY (query) TO STDOUT expected")


def _query(text: str, source: Sequence[Token]) -> str:
    if not source:
        raise PgError(SqlState.SYNTAX_ERROR, "COPY (query) TO STDOUT expected")
    first, last = source[0], source[-1]
    if first.text == "(":
        return " " * first.end + text[first.end : last.start]
    opened = next((one for one in source if one.text == "(" and one.depth == 0), None)
    columns = "*" if opened is None else text[opened.end : last.start]
    table = text[first.start : (last.end if opened is None else opened.start)]
    # The statement runs with the rights of whoever sent these texts, as a query of its own.
    return f"SELECT {columns} FROM {table}"  # noqa: S608


def _with_options(query: str, tokens: Sequence[Token]) -> Copy:
    words = [token for token in tokens if token.text not in ("(", ")", ",", "=")]
    found: dict[str, str] = {}
    forced: set[str] = set()
    force_all = False
    at = 0
    while at < len(words):
        word = words[at].word
        after = words[at + 1] if at + 1 < len(words) else None
        if word in ("csv", "binary", "text"):
            found["format"] = word
        elif word == "header":
            is_given = after is not None and after.word in ("true", "false", "on", "off")
            found["header"] = after.word if is_given and after is not None else "true"
            at += is_given
        elif word in ("format", "delimiter", "null", "quote", "escape", "encoding"):
            if after is not None and after.word == "as":
                at += 1
                after = words[at + 1] if at + 1 < len(words) else None
            if after is None:
                raise PgError(SqlState.SYNTAX_ERROR, f"COPY: {word} without a value")
            found[word] = string_value(after) if after.kind is Kind.TEXT else after.name
            at += 1
        elif word in ("force_quote", "force"):
            force_all |= any(one.text == "*" for one in words[at:])
            forced |= {one.name for one in words[at + 1 :] if one.name not in ("", "quote")}
            break
        elif word not in ("with", "delimiters"):
            raise PgError(
                SqlState.SYNTAX_ERROR,
                f'syntax error at or near "{words[at].text}"',
                position=words[at].start + 1,
            )
        at += 1
    return _checked(query, found, frozenset(forced), force_all)


def _checked(query: str, found: dict[str, str], forced: frozenset[str], force_all: bool) -> Copy:
    form = found.get("format", "text")
    if form not in ("text", "csv", "binary"):
        raise PgError(SqlState.INVALID_PARAMETER, f'COPY format "{form}" not recognized')
    is_csv = form == "csv"
    quote = found.get("quote", '"')
    made = Copy(
        query,
        form,
        delimiter=found.get("delimiter", "," if is_csv else "\t"),
        null=found.get("null", "" if is_csv else "\\N"),
        header=found.get("header", "false") in ("true", "on"),
        quote=quote,
        escape=found.get("escape", quote),
        forced=forced,
        force_all=force_all,
    )
    for name, value in (("delimiter", made.delimiter), ("quote", quote), ("escape", made.escape)):
        if len(value.encode()) != 1 or value in "\r\n":
            raise PgError(
                SqlState.INVALID_PARAMETER, f"COPY {name} must be a single one-byte character"
            )
    return made


class CopyEncoder:
    """Spells a copy's rows; each is a CopyData message of its own."""

    def __init__(self, copy: Copy, columns: Sequence[tuple[str, WireType]]) -> None:
        self._copy = copy
        self._columns = columns
        self._sent_head = False

    def batch(self, batch: Any) -> list[bytes | memoryview]:
        """Spell a batch."""
        pairs = list(zip(batch.columns, self._columns, strict=True))
        if self._copy.form == "binary":
            rows = framed(b"d", [binary_fields(a, wire) for a, (_, wire) in pairs], batch.num_rows)
            return self._with_signature(rows)
        fields = [self._field(array, name, wire) for array, (name, wire) in pairs]
        rows = separated(
            fields,
            batch.num_rows,
            delimiter=self._copy.delimiter.encode(),
            null=self._copy.null.encode(),
        )
        return [*self.head(), rows]

    def head(self) -> list[bytes | memoryview]:
        """Spell what comes before the first row, once."""
        if self._sent_head or not self._copy.header or self._copy.form == "binary":
            return []
        self._sent_head = True
        names = [name for name, _ in self._columns]
        fields = [of_list([name.encode()]) for name in names]
        if self._copy.form == "csv":
            fields = [self._quoted(one, forced=False) for one in fields]
        line = separated(fields, 1, delimiter=self._copy.delimiter.encode(), null=b"")
        return [line]

    def tail(self) -> list[bytes | memoryview]:
        """Spell what comes after the last row."""
        if self._copy.form != "binary":
            return self.head()
        return [copy_data(_TRAILER if self._sent_head else _SIGNATURE + _TRAILER)]

    def _with_signature(self, rows: memoryview) -> list[bytes | memoryview]:
        if self._sent_head or not len(rows):
            return [rows]
        # The signature shares a message with the first row; clients count on it.
        self._sent_head = True
        size = int.from_bytes(rows[1:5], "big")
        return [copy_data(_SIGNATURE + bytes(rows[5 : 1 + size])), rows[1 + size :]]

    def _field(self, array: Any, name: str, wire: WireType) -> Fields:
        if self._copy.form == "csv":
            fields = text_fields(array, wire)
            forced = self._copy.force_all or name.lower() in self._copy.forced
            if not forced and not wire.is_array and wire.oid not in _FREE_TEXT:
                return fields
            return self._quoted(fields, forced=forced)
        fields = text_fields(array, wire)
        if not wire.is_array and wire.oid not in _FREE_TEXT:
            return fields
        return _escaped(fields, self._copy.delimiter)

    def _quoted(self, fields: Fields, *, forced: bool) -> Fields:
        """Quote values that would be read as something else, or all of them."""
        copy = self._copy
        special = (copy.delimiter + copy.quote + "\r\n").encode()
        if not forced and not _contains(fields, special) and not _may_equal(fields, copy.null):
            return fields
        quote, escape = copy.quote.encode(), copy.escape.encode()
        made: list[bytes | None] = []
        for value in fields.to_list():
            if value is None:
                made.append(None)
            elif forced or value == copy.null.encode() or any(byte in special for byte in value):
                body = value.replace(escape, escape * 2) if escape != quote else value
                made.append(quote + body.replace(quote, escape + quote) + quote)
            else:
                made.append(value)
        return of_list(made)


def _contains(fields: Fields, special: bytes) -> bool:
    """Tell whether any of some bytes is anywhere in the heap."""
    table = np.zeros(256, dtype=np.bool_)
    table[list(special)] = True
    return bool(table[fields.heap].any())


def _may_equal(fields: Fields, text: str) -> bool:
    return bool((fields.lengths == len(text.encode())).any())


def _escaped(fields: Fields, delimiter: str) -> Fields:
    """Escape what text format uses itself."""
    special = b"\\\n\r\t\b\f\v" + delimiter.encode()
    if not _contains(fields, special):
        return fields
    import pyarrow as pa
    import pyarrow.compute as pc

    array = pa.array(fields.to_list(), type=pa.binary())
    pairs = list(_ESCAPES)
    if delimiter not in "\\\n\r\t\b\f\v":
        pairs.append((delimiter, "\\" + delimiter))
    for plain, spelled in pairs:
        array = pc.replace_substring(array, plain.encode(), spelled.encode())
    return of_strings(array)
