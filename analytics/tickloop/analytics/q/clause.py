"""Expressions inside queries: parse trees over the columns of a table, of some of its rows.

A name is a column, then `i` (the row number), then a global; locals of the function that queries
are constants in the tree. A dotted name follows a foreign key or takes a part of a time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tickloop.analytics.q.errors import QError
from tickloop.analytics.q.registry import Interpreter
from tickloop.analytics.q.rows import Rows, take, take_or_null
from tickloop.analytics.q.temporal import ACCESSORS, accessor
from tickloop.analytics.q.values import (
    Adverb,
    Atom,
    Builtin,
    Dictionary,
    Enumerated,
    Iterated,
    List,
    Missing,
    QType,
    Table,
    Value,
    Vector,
    atom_at,
    collect,
    items_of,
)

ENLIST = ",:"
_KEYWORDS = {
    "#:": "count", "*:": "first", "?:": "distinct", "+\\": "sums", "-':": "deltas",
    "%':": "ratios", "~~':": "differ",
}  # fmt: skip


@dataclass
class Scope:
    """What names mean in a query: a table's columns, of the rows that are left (None: of all)."""

    session: Interpreter
    table: Table
    rows: Rows | None = None
    ascending: bool = True  # rows are in the table's order
    _columns: dict[str, Value] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many rows are left."""
        if self.rows is None:
            return len(self.table)
        if isinstance(self.rows, slice):
            return max(0, int(self.rows.stop) - int(self.rows.start))
        return len(self.rows)

    def narrowed(self, rows: Rows | None, *, ascending: bool = True) -> "Scope":
        """Give the scope of other rows."""
        return Scope(self.session, self.table, rows, ascending)

    def row_numbers(self) -> Vector:
        """Give the numbers of the rows that are left: `i`."""
        if self.rows is None:
            return Vector(QType.LONG, np.arange(len(self.table), dtype=np.int64))
        if isinstance(self.rows, slice):
            return Vector(QType.LONG, np.arange(self.rows.start, self.rows.stop, dtype=np.int64))
        return Vector(QType.LONG, self.rows.astype(np.int64, copy=False))

    def column(self, name: str) -> Value | None:
        """Give a column's rows, or `i`, or a part of a column; None if there is no such name."""
        known = self._columns.get(name)
        if known is None:
            known = self._find(name)
            if known is not None:
                self._columns[name] = known
        return known

    def _find(self, name: str) -> Value | None:
        if name in self.table.names:
            column = self.table.column(name)
            return column if self.rows is None else take(column, self.rows)
        if name == "i":
            return self.row_numbers()
        base, dot, rest = name.partition(".")
        if base and dot and base in self.table.names:
            found = self.column(base)
            assert found is not None
            for part in rest.split("."):
                found = dotted(found, part)
            return found
        return None


def _sides(target: Value) -> list[Table]:
    """Give the tables that a foreign key or link leads to."""
    if isinstance(target, Table):
        return [target]
    if not isinstance(target, Dictionary):
        return []
    return [side for side in (target.values, target.keys) if isinstance(side, Table)]


def dotted(value: Value, part: str) -> Value:
    """Follow a foreign key to a column, or take a part of temporal values."""
    if isinstance(value, Enumerated) and (sides := _sides(value.domain.target)):
        for side in sides:
            if part in side.names:
                return take_or_null(side.column(part), value.data)
        raise QError(part, f"the table {value.domain.name} has no column {part}")
    if part not in ACCESSORS:
        raise QError(part, "neither a column of a foreign key's table nor a part of times")
    return accessor(value, part)


def apply(session: Interpreter, function: Value, arguments: Sequence[Value]) -> Value:
    """Apply a function, straight where it is a built-in."""
    if isinstance(function, Builtin):
        if function.name == ENLIST:
            return collect(list(arguments))
        body = function.by_rank.get(len(arguments))
        if body is not None and not any(isinstance(item, Missing) for item in arguments):
            return body(session, *arguments) if function.wants_session else body(*arguments)
    elif isinstance(function, Adverb) and len(arguments) == 1:
        return Iterated(function.iterator, arguments[0])
    return session.apply(function, arguments)


def constant(tree: Value) -> Value | None:
    """Give what a tree says without names and applications; None if it has any."""
    if isinstance(tree, Atom):
        return None if tree.type is QType.SYMBOL else tree
    if isinstance(tree, Vector):
        if tree.type is QType.SYMBOL and len(tree) == 1:
            return atom_at(tree, 0)
        return None if tree.type is QType.SYMBOL and len(tree) else tree
    if isinstance(tree, List):
        if not tree.items:
            return tree
        return tree.items[0] if len(tree.items) == 1 else None
    return tree


def evaluate(tree: Value, scope: Scope) -> Value:
    """Evaluate a tree over the rows of a scope."""
    known = constant(tree)
    if known is not None:
        return known
    if isinstance(tree, Atom):
        name = str(tree.value)
        found = scope.column(name)
        return scope.session.get(name) if found is None else found
    head, *rest = parts_of(tree)
    # Right to left, as everywhere in q.
    arguments = [evaluate(item, scope) for item in reversed(rest)][::-1]
    return apply(scope.session, evaluate(head, scope), arguments)


def parts_of(tree: Value) -> Sequence[Value]:
    """Give the function and the arguments of an application; all names, they are a vector."""
    if isinstance(tree, List):
        return tree.items
    assert isinstance(tree, Vector)
    return items_of(tree)


def spelled(head: Builtin) -> str:
    """Give the keyword of a built-in that the console shows in k."""
    return _KEYWORDS.get(head.name, head.name)


def names_in(tree: Value) -> set[str]:
    """Find the names that a tree mentions, the first part of dotted ones."""
    if constant(tree) is not None:
        return set()
    if isinstance(tree, Atom):
        return {str(tree.value).partition(".")[0] or str(tree.value), str(tree.value)}
    found: set[str] = set()
    for item in parts_of(tree):
        found |= names_in(item)
    return found
