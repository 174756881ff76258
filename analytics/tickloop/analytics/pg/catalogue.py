"""PostgreSQL's catalogue, made from the schema: what psql, drivers and tools look things up in.

The columns of its tables are those of PostgreSQL 15. Numbers of tables come from their names, so
that every process of a server gives the same ones.
"""

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from tickloop.analytics.arrow_parts import DATE
from tickloop.analytics.pg import settings
from tickloop.analytics.views import as_postgres
from tickloop.core.dialects import postgres, questdb
from tickloop.core.schema import Kind, Table

if TYPE_CHECKING:
    import pyarrow as pa

DATABASE = "tickloop"
OWNER = "tickloop"
_OWNER_ID = 10
_PG_CATALOG, _PUBLIC, _INFORMATION_SCHEMA = 11, 2200, 13_183
_FIRST_ID = 16_384
_RELATIONS, _DATABASE_ID = 1259, 5
_TEXT_COLLATION = 100
_OF_DUCK = {
    "BOOLEAN": 16, "BIGINT": 20, "SMALLINT": 21, "INTEGER": 23, "VARCHAR": 25, "TEXT": 25,
    "FLOAT": 700, "DOUBLE": 701, "DATE": 1082, "TIME": 1083, "TIMESTAMP": 1114,
    "TIMESTAMP WITH TIME ZONE": 1184, "UUID": 2950,
}  # fmt: skip
_PRECISION = {20: 64, 21: 16, 23: 32, 700: 24, 701: 53}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SystemTable:
    """A table of the catalogue itself: its number, whether it is a view, columns with types."""

    name: str  # with information_schema. before it where it stands there
    oid: int
    kind: str
    columns: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SystemType:
    """A row of pg_type."""

    oid: int
    name: str
    spelled: str
    values: Mapping[str, object]


@cache
def system_tables() -> dict[str, SystemTable]:
    """Read the tables of the catalogue by name."""
    found = {}
    for line in _lines("system_tables.txt"):
        name, oid, kind, *columns = line.split(" ")
        pairs = tuple((column, kind_) for column, _, kind_ in (c.partition(":") for c in columns))
        found[name] = SystemTable(name, int(oid), kind, pairs)
    return found


@cache
def system_types() -> dict[int, SystemType]:
    """Read the types by number."""
    names = (
        "oid", "typname", "typlen", "typbyval", "typtype", "typcategory", "typispreferred",
        "typelem", "typarray", "typinput", "typoutput", "typreceive", "typsend", "typalign",
        "typstorage", "typbasetype", "typcollation",
    )  # fmt: skip
    numbers = {"oid", "typlen", "typelem", "typarray", "typbasetype", "typcollation"}
    found = {}
    for line in _lines("system_types.txt"):
        *texts, spelled = line.split(" ")
        values: dict[str, object] = {
            name: int(text) if name in numbers else text
            for name, text in zip(names, texts, strict=True)
        }
        values["typbyval"] = values["typbyval"] == "1"
        values["typispreferred"] = values["typispreferred"] == "1"
        oid = int(texts[0])
        found[oid] = SystemType(oid, texts[1], spelled.replace("_", " "), values)
    return found


def _lines(name: str) -> list[str]:
    return files("tickloop.analytics.pg").joinpath(name).read_text().splitlines()


def oid_of(table: str) -> int:
    """Give a table's number, which depends on its name alone."""
    return _FIRST_ID + zlib.crc32(table.encode()) % 2**30


@dataclass(frozen=True, slots=True)
class Shown:
    """A column as clients see it."""

    name: str
    type: int
    meaning: str


def shown_columns(table: Table, *, fractional: bool) -> list[Shown]:
    """List a table's columns as the views have them."""
    meanings = {column.name: column.meaning for column in table.columns}
    extra = {one.name: column for column, one in postgres.nanoseconds(table)}
    listed = []
    for spelled in as_postgres(table, fractional):
        meaning = meanings.get(spelled.name, "")
        if spelled.name in extra:
            meaning = f"{extra[spelled.name].name} in nanoseconds since 1970"
        elif spelled.name == DATE and not meaning:
            meaning = "session date; filter by it to read less"
        listed.append(Shown(spelled.name, _OF_DUCK[spelled.type], meaning))
    return listed


def tables_of(tables: Iterable[Table], *, fractional: bool) -> "dict[str, pa.Table]":
    """Make every table of the catalogue for a schema."""
    described = {
        table.name: (table, shown_columns(table, fractional=fractional))
        for table in sorted(tables, key=lambda table: table.name)
    }
    rows = {
        **dict(_about_relations(described)),
        **dict(_about_server()),
        **dict(_information_schema(described)),
    }
    made = {name: _table(system, rows.get(name, [])) for name, system in system_tables().items()}
    made["questdb_tables"] = _plain(_questdb_tables(described))
    made["questdb_columns"] = _plain(_questdb_columns(described, fractional))
    return made


Described = Mapping[str, tuple[Table, Sequence[Shown]]]


def _about_relations(described: Described) -> Iterator[tuple[str, list[Row]]]:
    classes, attributes, descriptions = [], [], []
    for name, (_, columns) in described.items():
        oid = oid_of(name)
        classes.append(_class(name, oid, _PUBLIC, "r", len(columns)))
        for number, column in enumerate(columns, start=1):
            attributes.append(_attribute(oid, number, column.name, column.type))
            if column.meaning:
                descriptions.append(
                    {"objoid": oid, "classoid": _RELATIONS, "objsubid": number,
                     "description": column.meaning}
                )  # fmt: skip
    for system in system_tables().values():
        schema, _, name = system.name.rpartition(".")
        place = _INFORMATION_SCHEMA if schema else _PG_CATALOG
        classes.append(_class(name, system.oid, place, system.kind, len(system.columns)))
        for number, (column_name, kind) in enumerate(system.columns, start=1):
            attributes.append(_attribute(system.oid, number, column_name, _type_id(kind)))
    yield "pg_class", classes
    yield "pg_attribute", attributes
    yield "pg_description", descriptions
    yield (
        "pg_tables",
        [{"schemaname": "public", "tablename": name, "tableowner": OWNER} for name in described],
    )
    names: list[Row] = [
        {"relid": oid_of(name), "schemaname": "public", "relname": name} for name in described
    ]
    yield "pg_stat_user_tables", names
    yield "pg_stat_all_tables", names
    yield "pg_statio_user_tables", names


def _class(name: str, oid: int, schema: int, kind: str, columns: int) -> Row:
    return {
        "oid": oid, "relname": name, "relnamespace": schema, "relowner": _OWNER_ID, "relkind": kind,
        "relnatts": columns, "relpersistence": "p", "relreplident": "d" if kind == "r" else "n",
        "relam": 2 if kind == "r" else 0, "reltuples": -1.0, "relispopulated": True,
    }  # fmt: skip


def _attribute(relation: int, number: int, name: str, kind: int) -> Row:
    values = system_types()[kind].values
    return {
        "attrelid": relation, "attname": name, "atttypid": kind, "attnum": number,
        "attlen": values["typlen"], "atttypmod": -1, "attbyval": values["typbyval"],
        "attalign": values["typalign"], "attstorage": values["typstorage"], "attstattarget": -1,
        "attcollation": values["typcollation"], "attislocal": True, "attcacheoff": -1,
    }  # fmt: skip


@cache
def _type_id(spelled: str) -> int:
    by_name = {one.name: oid for oid, one in system_types().items()}
    by_name |= {one.spelled: oid for oid, one in system_types().items()}
    short = {"timestamptz": 1184, "varchar": 1043, "varchar[]": 1015, "float8": 701}
    return short.get(spelled, by_name.get(spelled, 25))


def _about_server() -> Iterator[tuple[str, list[Row]]]:
    yield (
        "pg_namespace",
        [
            {"oid": oid, "nspname": name, "nspowner": _OWNER_ID}
            for oid, name in (
                (_PG_CATALOG, "pg_catalog"),
                (_PUBLIC, "public"),
                (_INFORMATION_SCHEMA, "information_schema"),
            )
        ],
    )
    fixed = {"typnamespace": _PG_CATALOG, "typowner": _OWNER_ID, "typisdefined": True, "typdelim": ",", "typtypmod": -1}  # noqa: E501  # fmt: skip
    yield "pg_type", [{**fixed, **one.values} for one in system_types().values()]
    yield "pg_database", [
        {
            "oid": _DATABASE_ID, "datname": DATABASE, "datdba": _OWNER_ID, "encoding": 6,
            "datlocprovider": "c", "datallowconn": True, "datconnlimit": -1, "dattablespace": 1663,
            "datcollate": "C", "datctype": "C",
        }
    ]  # fmt: skip
    role = {
        "rolname": OWNER, "rolinherit": True, "rolcanlogin": True, "rolconnlimit": -1,
        "oid": _OWNER_ID,
    }  # fmt: skip
    yield "pg_roles", [role]
    yield "pg_authid", [role]
    yield "pg_user", [{"usename": OWNER, "usesysid": _OWNER_ID}]
    yield (
        "pg_am",
        [
            {"oid": 2, "amname": "heap", "amhandler": "heap_tableam_handler", "amtype": "t"},
            {"oid": 403, "amname": "btree", "amhandler": "bthandler", "amtype": "i"},
        ],
    )
    yield "pg_collation", [
        {"oid": oid, "collname": name, "collnamespace": _PG_CATALOG, "collencoding": -1,
         "collprovider": "c" if name == "C" else "d", "collowner": _OWNER_ID}
        for oid, name in ((_TEXT_COLLATION, "default"), (950, "C"))
    ]  # fmt: skip
    yield "pg_tablespace", [{"oid": 1663, "spcname": "pg_default", "spcowner": _OWNER_ID}]
    yield (
        "pg_language",
        [{"oid": 14, "lanname": "sql", "lanowner": _OWNER_ID, "lanpltrusted": True}],
    )
    first = settings.Settings(OWNER).values
    yield "pg_settings", [
        {"name": name, "setting": value, "category": "Tickloop", "short_desc": "",
         "context": "user", "vartype": "string", "source": "default", "boot_val": value,
         "reset_val": value, "pending_restart": False}
        for name, value in sorted(first.items())
    ]  # fmt: skip


def _information_schema(described: Described) -> Iterator[tuple[str, list[Row]]]:
    place = {"table_catalog": DATABASE, "table_schema": "public"}
    yield "information_schema.information_schema_catalog_name", [{"catalog_name": DATABASE}]
    yield (
        "information_schema.schemata",
        [
            {"catalog_name": DATABASE, "schema_name": name, "schema_owner": OWNER}
            for name in ("pg_catalog", "public", "information_schema")
        ],
    )
    system = [
        {
            "table_catalog": DATABASE,
            "table_schema": one.name.rpartition(".")[0] or "pg_catalog",
            "table_name": one.name.rpartition(".")[2],
            "table_type": "VIEW" if one.kind == "v" else "BASE TABLE",
            "is_insertable_into": "NO",
            "is_typed": "NO",
        }
        for one in system_tables().values()
    ]
    own = [
        {**place, "table_name": name, "table_type": "BASE TABLE", "is_insertable_into": "NO",
         "is_typed": "NO"}
        for name in described
    ]  # fmt: skip
    yield "information_schema.tables", [*own, *system]
    yield (
        "information_schema.columns",
        [
            {**place, **_column(name, number, column)}
            for name, (_, columns) in described.items()
            for number, column in enumerate(columns, start=1)
        ],
    )
    yield "information_schema.character_sets", [
        {"character_set_name": "UTF8", "character_repertoire": "UCS", "form_of_use": "UTF8",
         "default_collate_catalog": DATABASE, "default_collate_schema": "pg_catalog",
         "default_collate_name": "C"}
    ]  # fmt: skip
    yield "information_schema.enabled_roles", [{"role_name": OWNER}]
    granted: list[Row] = [
        {**place, "grantor": OWNER, "grantee": OWNER, "table_name": name,
         "privilege_type": "SELECT", "is_grantable": "NO", "with_hierarchy": "YES"}
        for name in described
    ]  # fmt: skip
    yield "information_schema.table_privileges", granted
    yield "information_schema.role_table_grants", granted


def _column(table: str, number: int, column: Shown) -> Row:
    kind = system_types()[column.type]
    precision = _PRECISION.get(column.type)
    is_whole = column.type in (20, 21, 23)
    is_moment = kind.values["typcategory"] == "D"
    return {
        "table_name": table, "column_name": column.name, "ordinal_position": number,
        "is_nullable": "YES", "data_type": kind.spelled, "udt_catalog": DATABASE,
        "udt_schema": "pg_catalog", "udt_name": kind.name, "dtd_identifier": str(number),
        "numeric_precision": precision, "numeric_precision_radix": 2 if precision else None,
        "numeric_scale": 0 if is_whole else None, "is_updatable": "NO", "is_identity": "NO",
        "is_self_referencing": "NO", "is_generated": "NEVER", "identity_cycle": "NO",
        "datetime_precision": (0 if column.type == 1082 else 6) if is_moment else None,
        "character_octet_length": 2**30 if column.type == 25 else None,
    }  # fmt: skip


def _questdb_tables(described: Described) -> list[Row]:
    return [
        {
            "id": number, "table_name": name, "designatedTimestamp": _designated(table),
            "partitionBy": "DAY", "maxUncommittedRows": 500_000, "o3MaxLag": 0, "walEnabled": False,
            "directoryName": name, "dedup": False,
        }
        for number, (name, (table, _)) in enumerate(described.items(), start=1)
    ]  # fmt: skip


def _questdb_columns(described: Described, fractional: bool) -> list[Row]:
    spelled = {20: "LONG", 21: "SHORT", 23: "INT", 25: "STRING", 16: "BOOLEAN", 700: "FLOAT", 701: "DOUBLE", 1082: "DATE", 1184: "TIMESTAMP", 2950: "UUID"}  # noqa: E501  # fmt: skip
    listed: list[Row] = []
    for name, (table, columns) in described.items():
        own = {
            column.name: questdb.TYPES[column.kind].upper()
            for column in table.columns
            if column.kind is not Kind.SIZE or not fractional
        }
        listed += [
            {
                "table_name": name, "column": column.name,
                "type": own.get(column.name, spelled.get(column.type, "STRING")), "indexed": False,
                "indexBlockCapacity": 0, "symbolCached": False, "symbolCapacity": 0,
                "designated": column.name == _designated(table), "upsertKey": False,
            }
            for column in columns
        ]  # fmt: skip
    return listed


def _designated(table: Table) -> str:
    return "time" if "time" in table.names else ""


def _plain(rows: Sequence[Row]) -> "pa.Table":
    import pyarrow as pa

    return pa.Table.from_pylist(list(rows))


def _table(system: SystemTable, rows: Sequence[Row]) -> "pa.Table":
    """Make a table's columns; what rows do not say is 0, false or empty, as in PostgreSQL."""
    import pyarrow as pa

    has_defaults = not system.name.startswith("information_schema.")
    columns = {}
    for name, kind in system.columns:
        arrow, default = _arrow(kind)
        default = default if has_defaults else None
        columns[name] = pa.array([row.get(name, default) for row in rows], type=arrow)
    return pa.table(columns)


def _arrow(kind: str) -> tuple[Any, object]:
    import pyarrow as pa

    if kind.endswith("[]"):
        return pa.list_(_arrow(kind.removesuffix("[]"))[0]), None
    plain: dict[str, tuple[Any, object]] = {
        "oid": (pa.uint32(), 0), "xid": (pa.uint32(), 0), "bigint": (pa.int64(), 0),
        "integer": (pa.int32(), 0), "smallint": (pa.int16(), 0), "boolean": (pa.bool_(), False),
        "real": (pa.float32(), 0.0), "float8": (pa.float64(), 0.0), "name": (pa.string(), ""),
        '"char"': (pa.string(), ""), "regproc": (pa.string(), "-"), "regtype": (pa.uint32(), 0),
        "timestamptz": (pa.timestamp("us", tz="UTC"), None),
        "int2vector": (pa.list_(pa.int64()), None),
        "oidvector": (pa.list_(pa.uint32()), None), "bytea": (pa.binary(), None),
    }  # fmt: skip
    return plain.get(kind, (pa.string(), None))
