"""PostgreSQL's spelling: what clients of the Postgres wire see, and how DuckDB computes it."""

from collections.abc import Iterator
from dataclasses import dataclass

from tickloop.core.clock import EPOCH_UNIX_NS
from tickloop.core.dialects import duckdb
from tickloop.core.schema import Column, Kind, Table

TYPES: dict[Kind, str] = {
    Kind.INSTANT: "timestamp with time zone",  # microseconds; its nanoseconds stand beside it
    Kind.SPAN: "bigint",  # nanoseconds
    Kind.SYMBOL: "text",
    Kind.PRICE: "double precision",
    Kind.SIZE: "bigint",
    Kind.FLOAT: "double precision",
    Kind.REAL: "real",
    Kind.LONG: "bigint",
    Kind.INT: "integer",
    Kind.SHORT: "smallint",
    Kind.BYTE: "smallint",
    Kind.FLAG: "boolean",
    Kind.CHAR: "text",
    Kind.GUID: "uuid",
    Kind.DATE: "date",
    Kind.MONTH: "date",
    Kind.DATETIME: "timestamp with time zone",
    Kind.MINUTE: "time without time zone",
    Kind.SECOND: "time without time zone",
    Kind.MILLI: "time without time zone",
    Kind.TEXT: "text",
}

_LONG_NULL = "(-9223372036854775807 - 1)"
# Past these, sums with the epoch leave 64 bits.
_LAST_INSTANT = 2**63 - 2 - EPOCH_UNIX_NS
# Cut, not rounded, also before 1970: a row never seems later than it was.
_MICROSECONDS = f"(({{c}} + {EPOCH_UNIX_NS}) - ((({{c}} + {EPOCH_UNIX_NS}) % 1000) + 1000) % 1000) // 1000"  # noqa: E501  # fmt: skip
_INSTANT = (
    f"CASE WHEN {{c}} > {_LAST_INSTANT} THEN 'infinity'::TIMESTAMPTZ"
    f" WHEN {{c}} = -9223372036854775807 THEN '-infinity'::TIMESTAMPTZ"
    f" WHEN {{c}} <> {_LONG_NULL} THEN make_timestamptz({_MICROSECONDS}) END"
)
_NANOSECONDS = (
    f"CASE WHEN {{c}} > {_LAST_INSTANT} THEN 9223372036854775807"
    f" WHEN {{c}} = -9223372036854775807 THEN {{c}}"
    f" WHEN {{c}} <> {_LONG_NULL} THEN {{c}} + {EPOCH_UNIX_NS} END"
)
_STORED = {
    "timestamp with time zone": "TIMESTAMP WITH TIME ZONE",
    "text": "VARCHAR",
    "double precision": "DOUBLE",
    "real": "FLOAT",
    "time without time zone": "TIME",
}


@dataclass(frozen=True, slots=True)
class Shown:
    """One column that clients see, and the SQL that makes it from the raw one."""

    name: str
    type: str  # PostgreSQL's
    stored: str  # DuckDB's
    sql: str


def shown(column: Column, *, fractional: bool = False) -> Shown:
    """Give the column that stands in the raw one's place."""
    is_float = column.kind is Kind.SIZE and fractional
    spelled = TYPES[Kind.FLOAT if is_float else column.kind]
    stored = _STORED.get(spelled, spelled.upper())
    name = duckdb.quoted(column.name)
    if column.kind is Kind.INSTANT:
        return Shown(column.name, spelled, stored, f"{_INSTANT.format(c=name)} AS {name}")
    sql = duckdb.expression(column, fractional=fractional)
    if stored != duckdb.type_text(column.kind, fractional=fractional):
        inner = sql.removesuffix(f" AS {name}")
        sql = f"CAST({inner} AS {stored}) AS {name}"
    return Shown(column.name, spelled, stored, sql)


def nanoseconds(table: Table) -> Iterator[tuple[Column, Shown]]:
    """Give, for each instant, the column of its nanoseconds since 1970, as `time_ns` of `time`."""
    for column in table.columns:
        name = f"{column.name}_ns"
        if column.kind is Kind.INSTANT and name not in table.names:
            raw = duckdb.quoted(column.name)
            sql = f"{_NANOSECONDS.format(c=raw)} AS {duckdb.quoted(name)}"
            yield column, Shown(name, "bigint", "BIGINT", sql)


def type_text(kind: Kind, *, fractional: bool = False) -> str:
    """Spell a kind; sizes are doubles where quantities are fractional."""
    return TYPES[Kind.FLOAT if kind is Kind.SIZE and fractional else kind]


def create(table: Table, *, fractional: bool = False) -> str:
    """Spell CREATE TABLE as a client that copies the table into PostgreSQL would write it."""
    listed = [shown(column, fractional=fractional) for column in table.columns]
    listed += [extra for _, extra in nanoseconds(table)]
    body = ",\n  ".join(f"{duckdb.quoted(column.name)} {column.type}" for column in listed)
    return f"CREATE TABLE {duckdb.quoted(table.name)} (\n  {body}\n)"
