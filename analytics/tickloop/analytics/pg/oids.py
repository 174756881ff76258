"""PostgreSQL's types by number, and DuckDB's types by PostgreSQL's."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PgType:
    """A type as the wire knows it; `size` is -1 where values differ in length."""

    oid: int
    name: str
    size: int
    array: int
    category: str
    duck: str  # DuckDB's type for a parameter of this one


BOOL = PgType(16, "bool", 1, 1000, "B", "BOOLEAN")
BYTEA = PgType(17, "bytea", -1, 1001, "U", "BLOB")
INT8 = PgType(20, "int8", 8, 1016, "N", "BIGINT")
INT2 = PgType(21, "int2", 2, 1005, "N", "SMALLINT")
INT4 = PgType(23, "int4", 4, 1007, "N", "INTEGER")
# Tables and types are numbered with it; it is DuckDB's only type of 32 bits without a sign.
OID = PgType(26, "oid", 4, 1028, "N", "UINTEGER")
TEXT = PgType(25, "text", -1, 1009, "S", "VARCHAR")
JSON = PgType(114, "json", -1, 199, "U", "JSON")
FLOAT4 = PgType(700, "float4", 4, 1021, "N", "FLOAT")
FLOAT8 = PgType(701, "float8", 8, 1022, "N", "DOUBLE")
DATE = PgType(1082, "date", 4, 1182, "D", "DATE")
TIME = PgType(1083, "time", 8, 1183, "D", "TIME")
TIMESTAMP = PgType(1114, "timestamp", 8, 1115, "D", "TIMESTAMP")
TIMESTAMPTZ = PgType(1184, "timestamptz", 8, 1185, "D", "TIMESTAMP WITH TIME ZONE")
INTERVAL = PgType(1186, "interval", 16, 1187, "T", "INTERVAL")
NUMERIC = PgType(1700, "numeric", -1, 1231, "N", "NUMERIC")
UUID = PgType(2950, "uuid", 16, 2951, "U", "UUID")

GIVEN = (
    BOOL, BYTEA, INT8, INT2, INT4, OID, TEXT, JSON, FLOAT4, FLOAT8, DATE, TIME, TIMESTAMP,
    TIMESTAMPTZ, INTERVAL, NUMERIC, UUID,
)  # fmt: skip
BY_OID = {type_.oid: type_ for type_ in GIVEN}
BY_ARRAY = {type_.array: type_ for type_ in GIVEN}

# Types that are never given, but that clients say their parameters have.
_TAKEN_AS = {
    18: TEXT, 19: TEXT, 1042: TEXT, 1043: TEXT, 3802: JSON, 2205: TEXT, 2206: TEXT,
    790: NUMERIC,
}  # fmt: skip
_ARRAYS_TAKEN_AS = {1002: TEXT, 1003: TEXT, 1014: TEXT, 1015: TEXT, 3807: JSON}

_FROM_DUCK = {
    "BOOLEAN": BOOL,
    "BLOB": BYTEA,
    "BIT": BYTEA,
    "TINYINT": INT2,
    "UTINYINT": INT2,
    "SMALLINT": INT2,
    "USMALLINT": INT4,
    "INTEGER": INT4,
    "UINTEGER": OID,
    "BIGINT": INT8,
    "UBIGINT": NUMERIC,
    "HUGEINT": NUMERIC,
    "UHUGEINT": NUMERIC,
    "NUMERIC": NUMERIC,
    "FLOAT": FLOAT4,
    "DOUBLE": FLOAT8,
    "VARCHAR": TEXT,
    '"NULL"': TEXT,
    "NULL": TEXT,
    "JSON": JSON,
    "UUID": UUID,
    "DATE": DATE,
    "TIME": TIME,
    "TIME_NS": TIME,
    "TIME WITH TIME ZONE": TIME,
    "TIMESTAMP": TIMESTAMP,
    "TIMESTAMP_S": TIMESTAMP,
    "TIMESTAMP_MS": TIMESTAMP,
    "TIMESTAMP_NS": TIMESTAMP,
    "TIMESTAMP WITH TIME ZONE": TIMESTAMPTZ,
    "TIMESTAMPTZ_NS": TIMESTAMPTZ,
    "INTERVAL": INTERVAL,
}
_LIST = re.compile(r"(?P<item>.*)\[\d*\]")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")


@dataclass(frozen=True, slots=True)
class WireType:
    """What RowDescription says of a column: its type's number, size and modifier."""

    oid: int
    size: int
    modifier: int
    item: PgType  # the type itself, or an array's
    is_array: bool


def of_duck(name: str) -> WireType:
    """Give the wire's type for DuckDB's; what PostgreSQL has nothing for travels as json."""
    listed = _LIST.fullmatch(name)
    if listed is not None:
        inner = of_duck(listed["item"])
        # Arrays of arrays may be ragged, which PostgreSQL has no type for.
        if inner.is_array or inner.item is JSON:
            return WireType(JSON.oid, JSON.size, -1, JSON, is_array=False)
        return WireType(inner.item.array, -1, -1, inner.item, is_array=True)
    decimal = _DECIMAL.fullmatch(name)
    if decimal is not None:
        modifier = (int(decimal[1]) << 16 | int(decimal[2])) + 4
        return WireType(NUMERIC.oid, NUMERIC.size, modifier, NUMERIC, is_array=False)
    if name.startswith(("STRUCT(", "MAP(", "UNION(")):
        return WireType(JSON.oid, JSON.size, -1, JSON, is_array=False)
    found = _FROM_DUCK.get(name, TEXT)
    return WireType(found.oid, found.size, -1, found, is_array=False)


def parameter_type(oid: int) -> tuple[PgType, bool] | None:
    """Give the type of a parameter and whether it is an array; None for one that is left open."""
    plain = BY_OID.get(oid) or _TAKEN_AS.get(oid)
    if plain is not None:
        return plain, False
    array = BY_ARRAY.get(oid) or _ARRAYS_TAKEN_AS.get(oid)
    return None if array is None else (array, True)


def duck_of(oid: int) -> str:
    """Give DuckDB's type for a parameter's; empty where it is left open."""
    found = parameter_type(oid)
    if found is None:
        return ""
    return f"{found[0].duck}[]" if found[1] else found[0].duck
