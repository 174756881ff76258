"""A kdb+ database directory as a source of tables: partitions by date, month, year or number."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from tickloop.analytics.q.mapped_columns import Domains, column_value, with_parted
from tickloop.analytics.q.partitioned import Partitions
from tickloop.analytics.q.values import QType, Table, Value
from tickloop.core.dialects.numpy import nulls, surface_dtype
from tickloop.core.schema import Kind
from tickloop.core.schema import Table as Schema
from tickloop.tickerplant.hdb_reader import HdbReader, PartitionedBy, PartitionKey
from tickloop.tickerplant.history import values_of
from tickloop.tickerplant.parted import Parted
from tickloop.tickerplant.partition import Partition
from tickloop.tickerplant.segment import Text, Values

_KINDS = {
    PartitionedBy.DATE: QType.DATE, PartitionedBy.MONTH: QType.MONTH,
    PartitionedBy.YEAR: QType.INT, PartitionedBy.INT: QType.INT, PartitionedBy.NOTHING: QType.DATE,
}  # fmt: skip
PARTED_COLUMN = "sym"


@dataclass(frozen=True)
class KdbSlab:
    """One partition of a table."""

    reader: HdbReader
    domains: Domains
    schema: Schema
    partition: Partition | None
    key: int

    @cached_property
    def rows(self) -> int:
        """How many rows the partition has."""
        return 0 if self.partition is None else self.partition.rows

    def column(self, name: str) -> Value:
        """Map a column; one that the partition is older than is null."""
        column = self.schema.column(name)
        values = self._values(name, column.kind)
        domain = None
        if column.kind is Kind.SYMBOL:
            spelled = self.reader.domain_of(self.schema.name, name)
            domain = self.domains.of(spelled, self.reader.domain(spelled))
        value = column_value(column.kind, values, domain, fractional=False)
        return with_parted(value, self._parted) if name == PARTED_COLUMN else value

    def _values(self, name: str, kind: Kind) -> Values:
        if self.partition is not None and name in self.partition.names:
            return values_of(self.partition.column(name), f"{self.partition.directory}/{name}")
        if kind is Kind.TEXT:
            return Text(np.zeros(self.rows, dtype=np.int64), np.empty(0, dtype=np.uint8))
        dtype = "<i8" if kind is Kind.SYMBOL else surface_dtype(kind, fractional=False)
        return nulls(kind, self.rows, dtype=dtype)

    @property
    def _parted(self) -> Parted | None:
        return None if self.partition is None else self.partition.parted


class KdbSource:
    """A kdb+ database directory."""

    def __init__(self, root: Path) -> None:
        self._reader = HdbReader(root)
        self._domains = Domains()
        self._made: dict[str, Partitions] = {}
        self._version = root.stat().st_mtime_ns

    @property
    def field(self) -> str:
        """The virtual column."""
        return self._reader.partitioned_by.value

    @property
    def kind(self) -> QType:
        """The virtual column's type."""
        return _KINDS[self._reader.partitioned_by]

    def refresh(self) -> bool:
        """List partitions anew if the directory changed."""
        version = self._reader.root.stat().st_mtime_ns
        if version == self._version:
            return False
        self._version = version
        self._reader.refresh()
        self._made.clear()
        return True

    def partitioned(self) -> Mapping[str, tuple[str, ...]]:
        """Give the columns of each partitioned table."""
        reader = self._reader
        return {
            name: reader.table(name).names for name in reader.tables if not reader.is_splayed(name)
        }

    def partitions(self, table: str) -> Partitions:
        """Give a table's partitions."""
        known = self._made.get(table)
        if known is None:
            known = self._made[table] = self._partitions(table)
        return known

    def _partitions(self, table: str) -> Partitions:
        schema = self._reader.table(table)
        slabs = [self._slab(schema, key) for key in self._reader.partitions]
        names = (self.field, *schema.names)
        return Partitions(self.kind, names, [slab for slab in slabs if slab.rows], slabs[-1])

    def _slab(self, schema: Schema, key: PartitionKey | None) -> KdbSlab:
        partition = self._reader.partition(schema.name, key)
        number = 0 if key is None else key.number
        return KdbSlab(self._reader, self._domains, schema, partition, number)

    def others(self) -> Mapping[str, Value]:
        """Give splayed tables and the list of symbols."""
        found: dict[str, Value] = {}
        names = self._reader.symbols
        if names:
            found["sym"] = self._domains.of("sym", names).target
        for name in self._reader.tables:
            if self._reader.is_splayed(name):
                schema = self._reader.table(name)
                slab = self._slab(schema, None)
                columns = tuple(slab.column(column) for column in schema.names)
                found[name] = Table(schema.names, columns)
        return found
