"""What .Q knows about partitioned tables: rows by number, counts, and which tables they are."""

from collections.abc import Sequence

from tickloop.analytics.q.errors import type_error
from tickloop.analytics.q.partition_queries import rows_at
from tickloop.analytics.q.partitioned import PartitionedTable
from tickloop.analytics.q.registry import Interpreter, register
from tickloop.analytics.q.values import (
    Atom,
    Enumerated,
    QType,
    Table,
    Value,
    Vector,
    boolean,
    collect,
    long,
    name_of,
    vector,
)
from tickloop.tickerplant.mapped_file import Mapping


def _partitioned(session: Interpreter, value: Value) -> PartitionedTable:
    name = name_of(value)
    found = value if name is None else session.get(name)
    if not isinstance(found, PartitionedTable):
        raise type_error("a partitioned table is needed")
    return found


@register(".Q.ind", rank=2, session=True)
def ind(session: Interpreter, table: Value, rows: Value) -> Value:
    """Give rows of a table by their numbers, of a partitioned one over all partitions."""
    name = name_of(table)
    source = table if name is None else session.get(name)
    if not isinstance(source, PartitionedTable):
        return session.apply(source, [rows])
    if isinstance(rows, Atom) and isinstance(rows.value, int):
        rows = vector(QType.LONG, [rows.value])
    if not isinstance(rows, Vector) or rows.type not in (QType.LONG, QType.INT):
        raise type_error("row numbers are whole numbers")
    return rows_at(source, rows)


@register(".Q.cn", rank=1, session=True)
def counts(session: Interpreter, table: Value) -> Value:
    """Count the rows of each partition of a table."""
    partitions = _partitioned(session, table).partitions
    by_key: dict[int, int] = dict.fromkeys(partitions.keys().data.tolist(), 0)
    for slab in partitions.slabs:
        by_key[slab.key] += slab.rows
    return _longs(list(by_key.values()))


def _longs(numbers: Sequence[int]) -> Value:
    return collect([long(number) for number in numbers])


@register(".Q.qp", rank=1)
def is_partitioned(value: Value) -> Value:
    """Tell a partitioned table (1b) from a splayed one (0b); 0 for everything else."""
    if isinstance(value, PartitionedTable) or _is_splayed(value):
        return boolean(isinstance(value, PartitionedTable))
    return long(0)


def _is_splayed(value: Value) -> bool:
    """Tell a table whose columns are mapped files, which nothing may write to."""
    if not isinstance(value, Table) or not value.columns:
        return False
    first = next((col for col in value.columns if isinstance(col, Vector | Enumerated)), None)
    return first is not None and _is_mapped(first.data)


def _is_mapped(data: object) -> bool:
    while (base := getattr(data, "base", None)) is not None:
        data = base
    return isinstance(data, Mapping)
