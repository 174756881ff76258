"""The tables of one data directory, and how its sizes are spelled."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from tickloop.core.errors import SchemaError
from tickloop.core.schema import RESERVED_NAMES, TABLES, Table, schema_digest


@dataclass(frozen=True)
class Catalog:
    """Built-in and user tables; `fractional` directories hold sizes as floats (crypto)."""

    tables: tuple[Table, ...] = TABLES
    fractional: bool = False

    @cached_property
    def by_name(self) -> dict[str, Table]:
        """Tables by name."""
        return {table.name: table for table in self.tables}

    @cached_property
    def digest(self) -> int:
        """Digest of tables, columns and kinds."""
        return schema_digest(self.tables)

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    def __contains__(self, name: object) -> bool:
        return name in self.by_name

    def __getitem__(self, name: str) -> Table:
        return self.by_name[name]

    def with_user_tables(self, tables: Iterable[Table]) -> "Catalog":
        """Add users' tables; SchemaError if a name is taken or reserved."""
        added = tuple(tables)
        seen: set[str] = set()
        for table in added:
            if table.name in self.by_name or table.name in RESERVED_NAMES:
                raise SchemaError(
                    f"table {table.name!r} is one of tickloop's own names; name yours otherwise"
                )
            if table.name in seen:
                raise SchemaError(f"table {table.name!r} is defined twice; name one otherwise")
            seen.add(table.name)
        return Catalog((*self.tables, *added), self.fractional)
