"""Tables that lie on disk in partitions: columns are mapped when they are asked for.

A slab is the rows of one partition that lie together; the partition's own value (a date, mostly)
is a virtual column in front of the others.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol, overload

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.rows import join, repeat, take
from tickloop.analytics.q.values import Atom, Attribute, QType, Table, Value, Vector, chars
from tickloop.analytics.trace import Reading, active, traced

# A partitioned table is not held in memory: only small ones turn into whole columns.
_WHOLE_ROWS_MAX = 1_000_000


class Slab(Protocol):
    """Rows of one partition, as columns that are mapped on demand."""

    @property
    def key(self) -> int:
        """The partition's value: days or months since 2000, or a number."""
        ...

    @property
    def rows(self) -> int:
        """How many rows the slab has."""
        ...

    def column(self, name: str) -> Value:
        """Map a column."""
        ...


class SlabTable(Table):
    """A slab as a table: columns are mapped when they are asked for."""

    __slots__ = ("_columns", "_field", "_kind", "_slab")

    def __init__(self, slab: Slab, names: tuple[str, ...], kind: QType) -> None:
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "_slab", slab)
        object.__setattr__(self, "_field", names[0])
        object.__setattr__(self, "_kind", kind)
        object.__setattr__(self, "_columns", {})

    _slab: Slab
    _field: str
    _kind: QType
    _columns: dict[str, Value]

    def __len__(self) -> int:
        return self._slab.rows

    @property
    def columns(self) -> tuple[Value, ...]:
        """All columns, mapped."""
        return tuple(self.column(name) for name in self.names)

    def column(self, name: str) -> Value:
        """Map a column; KeyError if there is none."""
        trace = active()
        if trace is not None and name != self._field:
            trace.column(name)
        known = self._columns.get(name)
        if known is not None:
            return known
        if name not in self.names:
            raise KeyError(name)
        if name == self._field:
            made = repeat(Atom(self._kind, self._slab.key), self._slab.rows)
        else:
            made = self._slab.column(name)
        self._columns[name] = made
        return made


@dataclass(frozen=True)
class Partitions:
    """The slabs of one table as they are now, in the order of their keys."""

    kind: QType
    names: tuple[str, ...]  # the virtual column first
    slabs: Sequence[Slab]
    prototype: Slab  # tells types where no slab is read
    _tables: dict[int, SlabTable] = field(default_factory=dict, repr=False)

    @property
    def field(self) -> str:
        """The name of the virtual column."""
        return self.names[0]

    @property
    def rows(self) -> int:
        """How many rows all slabs have."""
        return sum(slab.rows for slab in self.slabs)

    def keys(self) -> Vector:
        """Give the partitions' values, each once, ascending."""
        numbers = sorted({slab.key for slab in self.slabs})
        dtype = np.int64 if self.kind is QType.LONG else np.int32
        return Vector(self.kind, np.array(numbers, dtype=dtype))

    def is_read(self, name: str) -> None:
        """Tell who traces that the table of this name is read."""
        trace = active()
        if trace is not None:
            count, columns = len({slab.key for slab in self.slabs}), len(self.names) - 1
            trace.read(Reading(name, len(self.slabs), count, self.field, columns))

    def part_is_read(self, place: int) -> None:
        """Tell who traces that a slab is read."""
        trace = active()
        if trace is not None:
            trace.part(place, self.slabs[place].key)

    def table(self, place: int) -> SlabTable:
        """Give a slab as a table."""
        known = self._tables.get(place)
        if known is None:
            known = SlabTable(self.slabs[place], self.names, self.kind)
            self._tables[place] = known
        return known

    def sample(self) -> SlabTable:
        """Give a slab as a table that tells types, whatever its rows."""
        if self.slabs:
            return self.table(len(self.slabs) - 1)
        return SlabTable(self.prototype, self.names, self.kind)


class PartitionedTable(Table):
    """A table whose rows lie in partitions, as they are at each look."""

    __slots__ = ("_name", "_now")

    def __init__(self, name: str, names: tuple[str, ...], now: Callable[[str], Partitions]) -> None:
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_now", now)

    _name: str
    _now: Callable[[str], Partitions]

    @property
    def partitions(self) -> Partitions:
        """The slabs as they are now."""
        return self._now(self._name)

    def __len__(self) -> int:
        return self.partitions.rows

    @property
    def name(self) -> str:
        """What the database calls it."""
        return self._name

    @property
    def columns(self) -> tuple[Value, ...]:
        """All columns in memory; 'par for more rows than that is sensible for."""
        partitions = self.partitions
        if partitions.rows > _WHOLE_ROWS_MAX:
            raise QError(
                "par",
                f"{self._name} has {partitions.rows} rows in partitions; select from it, with"
                f" {partitions.field} first in where",
            )
        return self._whole(partitions)

    @traced("whole table", about=lambda self, partitions: self.name)
    def _whole(self, partitions: Partitions) -> tuple[Value, ...]:
        partitions.is_read(self.name)
        tables = [partitions.table(place) for place in range(len(partitions.slabs))]
        for place in range(len(tables)):
            partitions.part_is_read(place)
        if not tables:
            return tuple(take(column, slice(0, 0)) for column in partitions.sample().columns)
        return tuple(join([table.column(name) for table in tables]) for name in self.names)

    def column(self, name: str) -> Value:
        """Give a column in memory; KeyError if there is none."""
        if name not in self.names:
            raise KeyError(name)
        return self.columns[self.names.index(name)]

    @property
    def attribute(self) -> Attribute:
        """No promise is made about rows on disk."""
        return Attribute.NONE

    def sample(self) -> Table:
        """Give the newest slab's rows, which tell types and attributes."""
        return self.partitions.sample()


class Texts(Sequence[Value]):
    """Strings of a column, made one by one as they are asked for."""

    def __init__(self, read: Callable[[int], bytes], rows: range) -> None:
        self._read = read
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, place: int) -> Value: ...

    @overload
    def __getitem__(self, place: slice) -> "Texts": ...

    def __getitem__(self, place: int | slice) -> "Value | Texts":
        if isinstance(place, slice):
            return Texts(self._read, self._rows[place])
        return chars(self._read(self._rows[place]))

    def __iter__(self) -> Iterator[Value]:
        return (chars(self._read(row)) for row in self._rows)
