"""Atomic verbs through lists, dictionaries, tables and keyed tables, whole vectors at a time."""

from collections.abc import Callable
from typing import TypeAlias, cast

from tickloop.analytics.q.errors import length_error, type_error
from tickloop.analytics.q.union import Pair, paired_dictionaries, paired_tables
from tickloop.analytics.q.values import (
    Atom,
    Dictionary,
    Enumerated,
    EnumeratedAtom,
    List,
    Table,
    Value,
    Vector,
    collect,
    items_of,
    names_of,
    plain,
    type_of,
)

Simple: TypeAlias = Atom | Vector
One: TypeAlias = Callable[[Simple], Value]
Two: TypeAlias = Callable[[Simple, Simple], Value]


def lift(verb: One, value: Value) -> Value:
    """Apply a verb of simple values to every part of a value."""
    if isinstance(value, Vector | Atom):
        return verb(value)
    if isinstance(value, List):
        return collect([lift(verb, item) for item in value.items])
    if isinstance(value, Table):
        columns = tuple(lift(verb, column) for column in value.columns)
        return Table(value.names, columns)
    if isinstance(value, Dictionary):
        return Dictionary(value.keys, lift(verb, value.values))
    if isinstance(value, Enumerated | EnumeratedAtom):
        return verb(cast("Simple", plain(value)))
    raise type_error(f"a value of type {type_of(value)}h seen, numbers or text needed")


def lift2(verb: Two, left: Value, right: Value, alone: "Alone | None" = None) -> Value:
    """Apply a verb of two simple values to the parts of two values that belong together.

    Of two dictionaries, a key in one only keeps its value, or what `alone` makes of it. Lists
    need equal counts, otherwise 'length.
    """
    if isinstance(left, Vector | Atom) and isinstance(right, Vector | Atom):
        return verb(left, right)
    left, right = plain(left), plain(right)
    if isinstance(left, Dictionary | Table) or isinstance(right, Dictionary | Table):
        return _lift_keyed(verb, left, right, alone)
    if isinstance(left, List) or isinstance(right, List):
        return _lift_lists(verb, left, right, alone)
    if isinstance(left, Vector | Atom) and isinstance(right, Vector | Atom):
        return verb(left, right)
    raise type_error(
        f"values of types {type_of(left)}h and {type_of(right)}h seen, numbers or text needed"
    )


# What becomes of the values whose keys are only in the left (False) or right (True) dictionary.
Alone: TypeAlias = Callable[[bool, Value], Value]


def _lift_lists(verb: Two, left: Value, right: Value, alone: Alone | None) -> Value:
    if not isinstance(left, Vector | List):
        return collect([lift2(verb, left, item, alone) for item in items_of(right)])
    if not isinstance(right, Vector | List):
        return collect([lift2(verb, item, right, alone) for item in items_of(left)])
    if len(left) != len(right):
        raise length_error(len(left), len(right))
    pairs = zip(items_of(left), items_of(right), strict=True)
    return collect([lift2(verb, one, other, alone) for one, other in pairs])


def _lift_keyed(verb: Two, left: Value, right: Value, alone: Alone | None) -> Value:
    """Lift over a dictionary, table or keyed table on at least one side."""

    def both(one: Value, other: Value) -> Value:
        return lift2(verb, one, other, alone)

    if isinstance(left, Table) and isinstance(right, Table):
        return paired_tables(left, right, Pair(both, alone))
    if isinstance(left, Dictionary) and isinstance(right, Dictionary):
        return paired_dictionaries(left, right, Pair(both, alone))
    if isinstance(left, Table):
        return _with_table(left, right, both)
    if isinstance(right, Table):
        return _with_table(right, left, lambda column, other: both(other, column))
    if isinstance(left, Dictionary):
        return Dictionary(left.keys, both(left.values, right))
    assert isinstance(right, Dictionary)
    return Dictionary(right.keys, both(left, right.values))


def _with_table(table: Table, other: Value, both: Callable[[Value, Value], Value]) -> Value:
    """Lift over the columns of a table: a dictionary counts for every row, a list item for one."""
    if isinstance(other, Dictionary):
        by_name = dict(zip(names_of(other.keys) or (), items_of(other.values), strict=False))
        columns = (
            both(column, by_name[name]) if name in by_name else column
            for name, column in zip(table.names, table.columns, strict=True)
        )
        return Table(table.names, tuple(columns))
    if isinstance(other, Vector | List) and len(other) != len(table):
        raise length_error(len(table), len(other))
    return Table(table.names, tuple(both(column, other) for column in table.columns))
