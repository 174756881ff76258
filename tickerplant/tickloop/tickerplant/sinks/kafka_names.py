"""How the bus is laid out: a topic a table, and three compacted ones that explain the numbers."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tickloop.core.schema import CONTROL, LOG_NAMES, Column, Kind, Table
from tickloop.tickerplant.sinks.envelope import schema_id


@dataclass(frozen=True, slots=True)
class Names:
    """Topic names of one plant."""

    prefix: str

    def table(self, table: str) -> str:
        """Name the topic of a table's batches."""
        return f"{self.prefix}{table}"

    def json(self, table: str) -> str:
        """Name the topic of a table's rows as JSON."""
        return f"{self.prefix}{table}.json"

    def arrow(self, table: str) -> str:
        """Name the topic of a table's rows as Arrow streams."""
        return f"{self.prefix}{table}.arrow"

    @property
    def symbols(self) -> str:
        """What each symbol id is called, its shard and its units."""
        return f"{self.prefix}dictionary.symbols"

    @property
    def instruments(self) -> str:
        """The last `instrument` row of each symbol."""
        return f"{self.prefix}dictionary.instruments"

    @property
    def tables(self) -> str:
        """The columns of each schema id."""
        return f"{self.prefix}dictionary.tables"

    @property
    def dictionaries(self) -> tuple[str, str, str]:
        """The compacted topics."""
        return self.symbols, self.instruments, self.tables


def sent_tables(tables: Iterable[Table], wanted: str) -> list[Table]:
    """Give the tables that are sent: those named, else all but the log's own."""
    names = wanted.split()
    return [
        table for table in tables if (table.name in names if names else table.name not in LOG_NAMES)
    ]


def bus_tables(tables: Iterable[Table], wanted: str) -> list[Table]:
    """Give the tables that have topics: jobs on other machines follow `control` rows too."""
    control = [] if wanted.split() else [table for table in tables if table.name == CONTROL.name]
    return [*sent_tables(tables, wanted), *control]


def table_record(table: Table, *, fractional: bool, shards: int, plant: int) -> bytes:
    """Spell a table's columns, so that a reader needs no schema of its own."""
    return json.dumps(
        {
            "table": table.name, "schema": schema_id(table), "plant": plant, "shards": shards,
            "fractional": fractional,
            "columns": [[column.name, column.kind.value] for column in table.columns],
        }
    ).encode()  # fmt: skip


@dataclass(frozen=True, slots=True)
class SentTable:
    """A table as the bus has it."""

    table: Table
    fractional: bool
    shards: int
    plant: int


def read_table(value: bytes) -> SentTable:
    """Read a table's record."""
    fields = json.loads(value)
    columns = tuple(Column(name, Kind(kind)) for name, kind in fields["columns"])
    return SentTable(
        Table(fields["table"], columns), bool(fields["fractional"]), int(fields["shards"]),
        int(fields["plant"]),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class SentSymbol:
    """A symbol as the bus has it; none of this ever changes."""

    id: int
    name: str
    shard: int
    price_unit: int
    size_unit: int

    def record(self) -> bytes:
        """Spell it; names that are no UTF-8 are escaped."""
        return json.dumps(
            {
                "id": self.id, "name": self.name, "shard": self.shard,
                "price_unit": self.price_unit, "size_unit": self.size_unit,
            }
        ).encode()  # fmt: skip


def read_symbol(value: bytes) -> SentSymbol:
    """Read a symbol's record."""
    return SentSymbol(**json.loads(value))
