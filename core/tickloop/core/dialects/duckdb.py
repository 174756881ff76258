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
# The last instant that TIMESTAMP_NS can hold, counted from 2000; kdb+ goes on to 2292.
_LAST_INSTANT = 2**63 - 2 - EPOCH_UNIX_NS
_DAYS_MAX = 2_000_000_000  # kdb+'s infinite date and month are ±(2**31 - 1)


def _finite(number: str, limit: int, sql_type: str, value: str) -> str:
    """Spell a CASE that reads numbers beyond ±limit as SQL's infinities."""
    return (
        f"CASE WHEN {number} > {limit} THEN 'infinity'::{sql_type}"
        f" WHEN {number} < -{limit} THEN '-infinity'::{sql_type} ELSE {value} END"
    )


def _within_a_day(per_day: int, value: str) -> str:
    """Spell a TIME; kdb+'s infinities and hours past 24 have none, so they read as NULL."""
    return f"CASE WHEN {{c}} BETWEEN 0 AND {per_day - 1} THEN TIME '00:00' + {value} END"


# What a raw column's expression becomes once its null is set aside; {c} is the raw column.
# Infinities of floats, instants and dates are SQL's; those of integers stay the largest number.
_EXPRESSIONS: dict[Kind, str] = {
    Kind.INSTANT: (
        f"CASE WHEN {{c}} > {_LAST_INSTANT} THEN 'infinity'::TIMESTAMP_NS"
        " WHEN {c} = -9223372036854775807 THEN '-infinity'::TIMESTAMP_NS"
        f" ELSE make_timestamp_ns(nullif({{c}}, {_LONG_NULL}) + {EPOCH_UNIX_NS}) END"
    ),
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
    Kind.DATE: _finite(
        f"nullif({{c}}, {_INT_NULL})", _DAYS_MAX, "DATE",
        f"DATE '2000-01-01' + nullif({{c}}, {_INT_NULL})",
    ),
    Kind.MONTH: _finite(
        f"nullif({{c}}, {_INT_NULL})", _DAYS_MAX, "DATE",
        f"(DATE '2000-01-01' + to_months(nullif({{c}}, {_INT_NULL})))::DATE",
    ),
    Kind.DATETIME: (
        "CASE WHEN isnan({c}) THEN NULL WHEN {c} > 95000 THEN 'infinity'::TIMESTAMP_NS"
        " WHEN {c} < -95000 THEN '-infinity'::TIMESTAMP_NS ELSE make_timestamp_ns("
        f"round({{c}} * 86400000)::BIGINT * 1000000 + {EPOCH_UNIX_NS}) END"
    ),
    Kind.MINUTE: _within_a_day(1440, "to_minutes({c})"),
    Kind.SECOND: _within_a_day(86_400, "to_seconds({c})"),
    Kind.MILLI: _within_a_day(86_400_000, "to_milliseconds({c})"),
    Kind.TEXT: "{c}",
}  # fmt: skip


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
