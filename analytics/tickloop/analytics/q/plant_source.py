"""A data directory as a source of tables: history, flushed rows and today's rows in one view."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tickloop.analytics.q.mapped_columns import Domains, column_value, with_parted
from tickloop.analytics.q.partitioned import Partitions
from tickloop.analytics.q.values import QType, Value
from tickloop.core.clock import EPOCH_DATE
from tickloop.core.schema import Kind
from tickloop.tickerplant.database import Database, Snapshot
from tickloop.tickerplant.part import Part, complete

_PARTED_COLUMN = "sym"


@dataclass(frozen=True)
class PartSlab:
    """One part of a date: history's partition, a flushed chunk, or rows of today."""

    part: Part
    domains: Domains
    fractional: bool

    @property
    def key(self) -> int:
        """The session date as days since 2000."""
        return days_of(self.part.session or EPOCH_DATE)

    @property
    def rows(self) -> int:
        """How many rows the part has."""
        return self.part.rows

    def column(self, name: str) -> Value:
        """Give a column as it lies."""
        kind = self.part.table.column(name).kind
        domain = None
        if kind is Kind.SYMBOL:
            spelled = name if name in self.part.domains else "sym"
            domain = self.domains.of(spelled, self.part.names_of(name))
        values = self.part.columns[name]
        value = column_value(kind, values, domain, fractional=self.fractional)
        return with_parted(value, self.part.parted) if name == _PARTED_COLUMN else value


def days_of(day: date) -> int:
    """Count days since 2000."""
    return (day - EPOCH_DATE).days


class PlantSource:
    """A data directory, live or at rest: every look pins what it holds at that moment."""

    field = "date"
    kind = QType.DATE

    def __init__(self, root: Path, only: frozenset[str] | None = None) -> None:
        self._database = Database(root, only=only)
        self._domains = Domains()
        self._snapshot: Snapshot = self._database.snapshot()
        self._moment = self._database.moment()
        self._made: dict[str, Partitions] = {}

    def refresh(self) -> bool:
        """Pin what the directory holds now; tell whether rows, dates or tables came."""
        moment = self._database.moment()
        if moment == self._moment:
            return False
        self._moment = moment
        self._snapshot = self._database.snapshot()
        self._made.clear()
        return True

    def partitioned(self) -> Mapping[str, tuple[str, ...]]:
        """Give the columns of each table."""
        return {name: table.names for name, table in self._snapshot.tables.items()}

    def partitions(self, table: str) -> Partitions:
        """Give a table's parts, by date, each date's in the order of the log."""
        known = self._made.get(table)
        if known is None:
            known = self._made[table] = self._partitions(table)
        return known

    def _partitions(self, table: str) -> Partitions:
        fractional = self._snapshot.fractional
        slabs = [
            PartSlab(part, self._domains, fractional)
            for part in self._snapshot.parts(table)
            if part.rows
        ]
        # The sort is stable: parts of one date stay in the order of the log.
        slabs.sort(key=lambda slab: slab.key)
        names = (self.field, *self._snapshot.tables[table].names)
        return Partitions(self.kind, names, slabs, self._empty(table))

    def _empty(self, table: str) -> PartSlab:
        snapshot = self._snapshot
        schema = snapshot.tables[table]
        columns = complete(schema, {}, 0, fractional=snapshot.fractional)
        part = Part(schema, EPOCH_DATE, 0, columns, snapshot.names)
        return PartSlab(part, self._domains, snapshot.fractional)

    def others(self) -> Mapping[str, Value]:
        """Give the list of symbols."""
        return {"sym": self._domains.of("sym", self._snapshot.names).target}
