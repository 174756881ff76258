"""DuckDB's spelling, and the expressions that turn kdb+ nulls and epochs into SQL's."""

from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.schema import Column, Kind, Table

TYPES: dict[Kind, str] = {
    Kind.INSTANT: "TIMESTAMP_NS",
    Kind.SPAN: "BIGINT",  # nanoseconds: INTERVAL stops at microseconds
    Kind.SYMBOL: "VARCHAR",
    Kind.PRICE: "DOUBLE",
    Kind.SIZE: "BIGINT",
    Kind.FLOAT: "DOUBLE",
    Kind.REAL: "FLOAT",
    Kind.LONG: "BIGINT",
    Kind.INT: "INTEGER",
    Kind.SHORT: "SMALLINT",
    Kind.BYTE: "UTINYINT",
    Kind.FLAG: "BOOLEAN",
    Kind.CHAR: "VARCHAR",
    Kind.GUID: "UUID",
    Kind.DATE: "DATE",
    Kind.MONTH: "DATE",
    Kind.DATETIME: "TIMESTAMP_NS",
    Kind.MINUTE: "TIME",
    Kind.SECOND: "TIME",
    Kind.MILLI: "TIME",
    Kind.TEXT: "VARCHAR",
}

_LONG_NULL = "(-9223372036854775807 - 1)"
_INT_NULL = "(-2147483648)"
# What a raw column's expression becomes once its null is set aside; {c} is the raw column.
_EXPRESSIONS: dict[Kind, str] = {
    Kind.INSTANT: f"make_timestamp_ns(nullif({{c}}, {_LONG_NULL}) + {EPOCH_UNIX_NS})",
    Kind.SPAN: f"nullif({{c}}, {_LONG_NULL})",
    Kind.SYMBOL: "{c}",
    Kind.PRICE: "CASE WHEN isnan({c}) THEN NULL ELSE {c} END",
    Kind.SIZE: f"nullif({{c}}, {_LONG_NULL})",
    Kind.FLOAT: "CASE WHEN isnan({c}) THEN NULL ELSE {c} END",
    Kind.REAL: "CASE WHEN isnan({c}) THEN NULL ELSE {c} END",
    Kind.LONG: f"nullif({{c}}, {_LONG_NULL})",
    Kind.INT: f"nullif({{c}}, {_INT_NULL})",
    Kind.SHORT: "nullif({c}, (-32768)::SMALLINT)",
    Kind.BYTE: "{c}",
    Kind.FLAG: "{c} <> 0",
    Kind.CHAR: "nullif(chr({c}::INTEGER), ' ')",
    Kind.GUID: "nullif({c}::UUID, '00000000-0000-0000-0000-000000000000'::UUID)",
    Kind.DATE: f"DATE '2000-01-01' + nullif({{c}}, {_INT_NULL})",
    Kind.MONTH: f"(DATE '2000-01-01' + to_months(nullif({{c}}, {_INT_NULL})))::DATE",
    Kind.DATETIME: (
        "make_timestamp_ns(CASE WHEN isnan({c}) THEN NULL"
        f" ELSE round({{c}} * 86400000)::BIGINT * 1000000 + {EPOCH_UNIX_NS} END)"
    ),
    Kind.MINUTE: f"TIME '00:00' + to_minutes(nullif({{c}}, {_INT_NULL}))",
    Kind.SECOND: f"TIME '00:00' + to_seconds(nullif({{c}}, {_INT_NULL}))",
    Kind.MILLI: f"TIME '00:00' + to_milliseconds(nullif({{c}}, {_INT_NULL}))",
    Kind.TEXT: "{c}",
}


def type_text(kind: Kind, *, fractional: bool = False) -> str:
    """Spell a kind; sizes are doubles where quantities are fractional."""
    return "DOUBLE" if kind is Kind.SIZE and fractional else TYPES[kind]


def quoted(name: str) -> str:
    """Quote an identifier."""
    return '"' + name.replace('"', '""') + '"'


def expression(column: Column, *, fractional: bool = False) -> str:
    """Spell the SQL that reads a raw column with its nulls as NULL and its epoch as SQL's."""
    kind = Kind.FLOAT if column.kind is Kind.SIZE and fractional else column.kind
    return f"{_EXPRESSIONS[kind].format(c=quoted(column.name))} AS {quoted(column.name)}"


def create(table: Table, *, fractional: bool = False) -> str:
    """Spell CREATE TABLE for a copy of the table inside DuckDB."""
    body = ",\n  ".join(
        f"{quoted(column.name)} {type_text(column.kind, fractional=fractional)}"
        for column in table.columns
    )
    return f"CREATE TABLE {quoted(table.name)} (\n  {body}\n)"
