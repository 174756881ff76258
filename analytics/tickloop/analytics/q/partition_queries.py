"""Queries of partitioned tables: partitions are left out first, the rest is put together.

Aggregates are put together from those of each partition, other results from the rows that pass
the filters.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tickloop.analytics.q.clause import Scope, evaluate, names_in
from tickloop.analytics.q.decomposing import Parts, apply_, decomposed
from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.executing import executed
from tickloop.analytics.q.filters import filtered
from tickloop.analytics.q.partitioned import PartitionedTable, Partitions
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.rows import as_table, collected, is_nothing, join, repeat, take
from tickloop.analytics.q.selecting import Clauses, limits, selected, trees_of
from tickloop.analytics.q.tree_text import tree_text
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    List,
    Table,
    Value,
    Vector,
    count_of,
    is_list,
    symbol,
    symbols,
)
from tickloop.analytics.trace import note, traced

# Rows times columns that a query may bring into memory.
CELLS_MAX = 500_000_000


@dataclass(frozen=True, slots=True)
class _Source:
    """The slabs that a query reads, and the filters that are left for each."""

    session: Interpreter
    partitions: Partitions
    places: Sequence[int]
    where: tuple[Value, ...]

    def scopes(self) -> Iterator[Scope]:
        """Filter each slab; leave out those of which nothing is left, but give one at least."""
        found = False
        for place in self.places:
            self.partitions.part_is_read(place)
            scope = filtered(Scope(self.session, self.partitions.table(place)), self.where)
            if scope.count:
                found = True
                yield scope
        if not found:
            yield Scope(self.session, self.partitions.sample(), slice(0, 0))


def query_partitions(session: Interpreter, table: PartitionedTable, clauses: Clauses) -> Value:
    """Answer ?[t;c;b;a] for a partitioned table."""
    partitions = table.partitions
    partitions.is_read(table.name)
    source = _pruned(session, partitions, clauses.where)
    if len(source.places) == 1:
        return _in_one(source, clauses)
    found = _reduced(source, clauses) or _pulled(source, clauses)
    scope = Scope(session, found[0])
    return executed(scope, found[1]) if clauses.is_exec else selected(scope, found[1])


def kept_places(
    session: Interpreter, partitions: Partitions, where: tuple[Value, ...]
) -> tuple[Sequence[int], tuple[Value, ...]]:
    """Give the slabs that filters about partitions alone leave, and the filters that remain."""
    source = _pruned(session, partitions, where)
    return source.places, source.where


def _pruned(session: Interpreter, partitions: Partitions, where: tuple[Value, ...]) -> _Source:
    """Let the first filters, as far as they are about partitions alone, choose partitions."""
    ahead = 0
    while ahead < len(where) and names_in(where[ahead]) == {partitions.field}:
        ahead += 1
    keys = partitions.keys()
    scope = Scope(session, Table((partitions.field,), (keys,)))
    kept = filtered(scope, where[:ahead]).column(partitions.field)
    assert isinstance(kept, Vector)
    wanted = set(kept.data.tolist())
    places = [place for place, slab in enumerate(partitions.slabs) if slab.key in wanted]
    return _Source(session, partitions, places, where[ahead:])


def _in_one(source: _Source, clauses: Clauses) -> Value:
    """Answer from the one slab that is left, without a step between."""
    note("answered from the one part that is left")
    (scope,) = source.scopes()
    rest = replace(clauses, where=())
    if clauses.is_exec:
        return executed(scope, rest)
    _check_cells(source, scope.count, len(source.partitions.names) if _gives_rows(clauses) else 0)
    return selected(scope, rest)


def _gives_rows(clauses: Clauses) -> bool:
    return is_nothing(clauses.columns) and clauses.limit is None


def _check_cells(source: _Source, rows: int, columns: int) -> None:
    if rows * columns > CELLS_MAX:
        raise QError(
            "wsfull",
            f"over {CELLS_MAX} values of {columns} columns would come into memory; select"
            f" fewer columns, or narrow {source.partitions.field} in where",
        )


def _reduced(source: _Source, clauses: Clauses) -> tuple[Table, Clauses] | None:
    """Aggregate each slab, and give the results with what makes the answer of them."""
    parts = Parts()
    key_names, key_trees = _keys(clauses)
    columns = _over_parts(source, clauses, parts, key_names)
    if columns is None:
        return None
    note("each part aggregated, then the results")
    keys = dict(zip(key_names, key_trees, strict=True))
    whole = join([_aggregated(source, scope, keys, parts) for scope in source.scopes()])
    assert isinstance(whole, Table)
    by = clauses.by
    if isinstance(by, Dictionary) and key_names:
        by = _dictionary({name: symbol(name) for name in key_names})
    elif key_names:
        by = symbol(key_names[0])
    return whole, replace(clauses, where=(), by=by, columns=columns)


def _aggregated(source: _Source, scope: Scope, keys: Mapping[str, Value], parts: Parts) -> Table:
    """Aggregate a slab's rows; keys that are the same in all of them are added afterwards."""
    virtual = source.partitions.field
    same = {name: tree for name, tree in keys.items() if names_in(tree) <= {virtual}}
    others = {name: tree for name, tree in keys.items() if name not in same}
    if others:
        clauses = Clauses((), _dictionary(others), _dictionary(parts.trees))
        found = as_table(selected(scope, clauses))
    else:
        found = _one_row(scope, parts.trees)
    assert found is not None
    if not same:
        return found
    rows = len(found) if scope.count else 0
    row = Scope(source.session, Table((virtual,), (_one(scope, virtual),)))
    columns = {name: _spread(evaluate(tree, row), rows) for name, tree in same.items()}
    given = {n: take(c, slice(0, rows)) for n, c in zip(found.names, found.columns, strict=True)}
    return Table.of({**columns, **given})


@traced(
    "aggregate",
    about=lambda scope, trees: ", ".join(map(tree_text, trees.values())),
    given=lambda scope, trees: scope.count,
    found=len,
)
def _one_row(scope: Scope, trees: Mapping[str, Value]) -> Table:
    """Make one row of results, whatever they are."""
    return Table.of({name: collected([evaluate(tree, scope)]) for name, tree in trees.items()})


def _one(scope: Scope, name: str) -> Value:
    return take(scope.table.column(name), slice(0, 1))


def _spread(value: Value, rows: int) -> Value:
    """Repeat the one item of a list, or a value."""
    if not is_list(value):
        return repeat(value, rows)
    return take(value, np.zeros(rows, dtype=np.int64))


def _keys(clauses: Clauses) -> tuple[list[str], list[Value]]:
    if isinstance(clauses.by, Dictionary):
        return trees_of(clauses.by)
    if clauses.is_exec and not is_nothing(clauses.by):
        return ["k_"], [clauses.by]
    return [], []


def _over_parts(
    source: _Source, clauses: Clauses, parts: Parts, keys: Sequence[str]
) -> Value | None:
    """Rewrite the columns of a query over the results of its slabs; None if they need rows."""
    columns = clauses.columns
    if is_nothing(columns):
        if not keys or clauses.is_exec:
            return None
        names = [name for name in source.partitions.names if name not in keys]
        columns = _dictionary({name: apply_("last", symbol(name)) for name in names})
    if not isinstance(columns, Dictionary):
        return decomposed(columns, parts)
    names, trees = trees_of(columns)
    made = [decomposed(tree, parts) for tree in trees]
    if not parts.trees or any(tree is None for tree in made):
        return None
    return _dictionary({n: t for n, t in zip(names, made, strict=True) if t is not None})


def _dictionary(trees: dict[str, Value]) -> Dictionary:
    return Dictionary(symbols(trees), List(tuple(trees.values())))


def _pulled(source: _Source, clauses: Clauses) -> tuple[Table, Clauses]:
    """Bring the rows that pass the filters into memory, of the columns that are needed."""
    note("rows of all parts put together")
    names = _needed(source, clauses)
    tables: list[Value] = []
    rows, limit = 0, _rows_wanted(clauses)
    for scope in source.scopes():
        rows += scope.count
        _check_cells(source, rows, len(names))
        found = [scope.column(name) for name in names]
        tables.append(Table(tuple(names), tuple(c for c in found if c is not None)))
        limit -= scope.count
        if limit <= 0:
            break
    whole = join(tables)
    assert isinstance(whole, Table)
    return whole, replace(clauses, where=())


def _rows_wanted(clauses: Clauses) -> int:
    """Count the first rows that suffice for a limited query; beyond any count for others."""
    everything = 2**62
    is_rows = is_nothing(clauses.columns) and not isinstance(clauses.by, Dictionary)
    if clauses.limit is None or clauses.order is not None or not is_rows or clauses.is_exec:
        return everything
    if isinstance(clauses.by, Atom) and clauses.by.value:
        return everything
    first = limits(clauses.limit, everything)
    return everything if first.start > everything // 2 else int(first.stop)


def _needed(source: _Source, clauses: Clauses) -> list[str]:
    """List the columns that a query's phrases mention, in the table's order; all without any."""
    names = source.partitions.names
    if is_nothing(clauses.columns):
        return list(names)
    mentioned: set[str] = set()
    for value in (clauses.columns, clauses.by, clauses.order):
        if isinstance(value, Dictionary):
            for tree in trees_of(value)[1]:
                mentioned |= names_in(tree)
        elif value is not None:
            mentioned |= names_in(value)
    found = [name for name in names if name in mentioned]
    extra = ["i"] if "i" in mentioned and "i" not in names else []
    return [*found, *extra] or [names[0]]


def rows_at(table: PartitionedTable, rows: Vector) -> Value:
    """Give rows by their numbers over all partitions, as .Q.ind does."""
    partitions = table.partitions
    ends = np.cumsum([slab.rows for slab in partitions.slabs])
    wanted = rows.data.astype(np.int64)
    if len(wanted) and (wanted.min() < 0 or wanted.max() >= (ends[-1] if len(ends) else 0)):
        raise QError("index", f"rows lie between 0 and {count_of(table) - 1}")
    places = np.searchsorted(ends, wanted, side="right")
    pieces: list[Value] = []
    for first, stop in _stretches(places):
        place = int(places[first])
        begin = int(ends[place]) - partitions.slabs[place].rows
        pieces.append(take(_plain_table(partitions.table(place)), wanted[first:stop] - begin))
    return join(pieces) if pieces else take(_plain_table(partitions.sample()), slice(0, 0))


def _stretches(places: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> list[tuple[int, int]]:
    """Give spans of equal places."""
    edges = [0, *(np.flatnonzero(np.diff(places)) + 1).tolist(), len(places)]
    return [(a, b) for a, b in itertools.pairwise(edges) if b > a]


def _plain_table(table: Table) -> Table:
    return Table(table.names, table.columns)
