"""History as parts: our own partitions as a manifest counts them, or any kdb+ database."""

from collections.abc import Collection, Container, Iterator, Sequence
from datetime import date
from pathlib import Path

import numpy as np

from tickloop.core.errors import StoreError
from tickloop.core.schema import Kind, Table
from tickloop.tickerplant.hdb import open_partition
from tickloop.tickerplant.hdb_reader import HdbReader, PartitionedBy, PartitionKey
from tickloop.tickerplant.kdb_file import Rows
from tickloop.tickerplant.kdb_nested import Nested
from tickloop.tickerplant.manifest import Manifest
from tickloop.tickerplant.manifest import Partition as Counted
from tickloop.tickerplant.part import Part, complete
from tickloop.tickerplant.parted import Parted
from tickloop.tickerplant.partition import Partition, PartitionReplacedError
from tickloop.tickerplant.segment import Text, Values

_TRIES = 5


def narrowed(table: Table, columns: Collection[str] | None) -> Table:
    """Give a table with only the named columns."""
    if columns is None:
        return table
    return Table(table.name, tuple(c for c in table.columns if c.name in columns))


def values_of(rows: Rows, name: str) -> Values:
    """Give a column file's rows as values; offsets of strings were checked."""
    if isinstance(rows, Nested) and rows.is_text:
        ends = rows.ends
        if len(ends) and (ends[0] < 0 or ends[-1] > len(rows.raw) or (np.diff(ends) < 0).any()):
            raise StoreError(
                f"{name}: its offsets do not fit the {len(rows.raw)} bytes beside it; restore the"
                " column from a copy of the database"
            )
        return Text(ends, rows.raw)
    if isinstance(rows, np.ndarray) and rows.dtype != object:
        return rows
    texts = list(rows) if isinstance(rows, np.ndarray) else list(rows.items(0, len(rows)))
    if all(isinstance(text, bytes) for text in texts):
        return Text.of([text for text in texts if isinstance(text, bytes)])
    raise StoreError(f"{name}: some rows are strings and some are not; queries cannot read it")


class OwnHistory:
    """The partitions that a manifest names; rows that it does not count are left out."""

    def __init__(self, root: Path, manifest: Manifest) -> None:
        self._root = root
        self._manifest = manifest
        self._open: dict[tuple[date, str], Partition] = {}

    def parts(
        self, table: Table, dates: Container[date] | None, names: Sequence[str]
    ) -> Iterator[Part]:
        """List a table's partitions with their rows, oldest first."""
        for counted in self._manifest.partitions:
            if counted.rows.get(table.name) and (dates is None or counted.session in dates):
                yield self._part(table, counted, names)

    def _part(self, table: Table, counted: Counted, names: Sequence[str]) -> Part:
        key = (counted.session, table.name)
        for _ in range(_TRIES):
            if key not in self._open:
                self._open[key] = open_partition(self._root, *key)
            try:
                return self._counted(table, counted, names, self._open[key])
            except PartitionReplacedError:
                # A merge put a newer one there; it has all rows that this manifest counts.
                del self._open[key]
        raise StoreError(f"{self._root}: partition {counted.session} changes all the time")

    def _counted(
        self, table: Table, counted: Counted, names: Sequence[str], found: Partition
    ) -> Part:
        rows = found.rows
        surplus = rows != counted.rows[table.name]
        fractional = self._manifest.catalog.fractional
        columns = {
            name: values_of(found.column(name), f"{found.directory}/{name}")
            for name in table.names
            if name in found.names
        }
        values = complete(table, columns, rows, fractional=fractional)
        if not surplus:
            return Part(
                table, counted.session, rows, values, names, find_parted=lambda: found.parted
            )
        part = Part(table, counted.session, rows, values, names)
        seqs = found.column("seq")
        assert isinstance(seqs, np.ndarray), "seq is a column of longs"
        return part.where(np.less_equal(seqs, counted.merged))


class KdbHistory:
    """Any kdb+ database as parts; `prefix` goes before the names of its tables."""

    def __init__(self, root: Path, prefix: str = "") -> None:
        self._reader = HdbReader(root)
        self._prefix = prefix
        self._version = root.stat().st_mtime_ns
        self._parted: dict[tuple[str, PartitionKey | None], Parted | None] = {}

    @property
    def is_stale(self) -> bool:
        """Tell whether partitions or tables came or went."""
        return self._reader.root.stat().st_mtime_ns != self._version

    @property
    def is_empty(self) -> bool:
        """Tell whether the folder holds no table at all."""
        return not self._reader.tables

    @property
    def tables(self) -> dict[str, Table]:
        """Tables by the name that queries use."""
        found = {}
        for name in self._reader.tables:
            table = Table(self._prefix + name, self._reader.table(name).columns)
            found[table.name] = table
        return found

    def parts(self, table: Table, dates: Container[date] | None) -> Iterator[Part]:
        """List a table's partitions, oldest first; a splayed table is one part of no date."""
        name = table.name.removeprefix(self._prefix)
        if self._reader.is_splayed(name):
            yield self._part(table, name, None, None)
            return
        by_date = self._reader.partitioned_by is PartitionedBy.DATE
        for key in self._reader.partitions:
            session = key.date if by_date else None
            if dates is None or session is None or session in dates:
                yield self._part(table, name, key, session)

    def _part(
        self, table: Table, name: str, key: PartitionKey | None, session: date | None
    ) -> Part:
        found = self._reader.columns(name, key, table.names)
        columns = {
            column: values_of(values, f"{name}/{column}") for column, values in found.items()
        }
        partition = self._reader.partition(name, key)
        rows = self._reader.rows(name, key)
        domains = {
            column.name: self._reader.domain(self._reader.domain_of(name, column.name))
            for column in table.columns
            if column.kind is Kind.SYMBOL
        }

        def parted() -> Parted | None:
            if (name, key) not in self._parted:
                self._parted[name, key] = None if partition is None else partition.parted
            return self._parted[name, key]

        return Part(table, session, rows, columns, (), domains, parted)
